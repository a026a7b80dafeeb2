"""The streamer: one long-lived process that owns the exchange's feeds and all trading state."""
