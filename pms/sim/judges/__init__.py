"""What must hold, in arithmetic of our own: after each step, and once all is quiet."""
