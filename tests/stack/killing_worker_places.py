"""The places at which `killing_worker.py` can fall."""

BEFORE_RIGHT = "between decision and send right"
BEFORE_BYTES = "between send right and first byte"
BEFORE_ANSWER = "between the venue's execution and its answer"
