"""The WebSocket face: routed and unrouted paths, control messages, connections."""
