"""What a worker and the streamer both do on the order path: each a plain `async def flow(deps, …)`."""
