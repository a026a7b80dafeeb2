"""What leaves the venue by itself: market data and user events, and who gets them."""
