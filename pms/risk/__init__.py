"""Portfolio risk, pure: what the whole desk, a group or one account may lose, and by what."""
