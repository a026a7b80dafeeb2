"""Deterministic simulation: the real system in one process, on virtual time, driven by one seed.

The only place where I/O is simulated. See docs/simulation.md.
"""
