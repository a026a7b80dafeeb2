"""PMS: many virtual sub-accounts on one Binance USDⓈ-M Futures account."""

__version__ = "0.1.0"
