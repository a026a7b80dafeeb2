"""The venue's state directory: segments of the journal, snapshots, the history of what is over."""
