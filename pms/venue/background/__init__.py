"""The anonymous rest of the market: made up from a seed, or replayed from a recording."""
