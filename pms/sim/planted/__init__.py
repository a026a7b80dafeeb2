"""Bugs planted on purpose, and the proof that the simulator finds them."""
