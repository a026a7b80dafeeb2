"""How full Redis may become before something gives way."""

from __future__ import annotations

from pms.streamer.memory import Memory

LEVELS = (
    # per cent, admission closed, algos stopped
    (49, False, False),
    (50, True, False),
    (48, True, False),
    (46, False, False),
    (80, True, True),
    (73, True, True),
    (71, True, False),
    (10, False, False),
)


def test_each_limit_closes_at_once_and_opens_a_little_below() -> None:
    memory = Memory()
    for percent, closed, stopped in LEVELS:
        memory.take({"used_memory": percent * 10, "maxmemory": 1000})
        assert (memory.admission_closed, memory.algos_stopped) == (closed, stopped), percent
        assert (memory.reason() is not None) == closed


def test_a_server_without_a_limit_is_never_full() -> None:
    memory = Memory()
    memory.take({"used_memory": 10**12, "maxmemory": 0})
    assert memory.reason() is None
