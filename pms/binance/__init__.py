"""Binance USDⓈ-M Futures: requests, streams, books and limits."""
