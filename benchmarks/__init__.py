"""Measurements: each path beside its floor, in one run, and the ratio first."""
