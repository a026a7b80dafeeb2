"""Other Python order books, each in an environment of its own under `.clients/`, on the very same frames."""
