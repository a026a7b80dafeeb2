"""Our own exchange: a matching engine behind Binance's REST and WebSocket protocol."""
