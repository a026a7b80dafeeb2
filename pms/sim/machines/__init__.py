"""What the simulated processes run on: time, network, Redis, PostgreSQL, the exchange, the workers."""
