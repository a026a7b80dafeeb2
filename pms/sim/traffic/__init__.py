"""What happens in a seed: people, their algos, others at the same account, the weather of the market."""
