"""The REST face under /fapi, in Binance's shapes and codes."""
