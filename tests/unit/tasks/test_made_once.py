"""What a process makes once: by one of its threads, and anew where it could not be made."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from pms.tasks.once import once

THREADS = 8


def test_threads_that_ask_at_the_same_time_get_the_same() -> None:
    made, together = list[object](), Barrier(THREADS)

    @once
    def thing() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    def ask(_: int) -> object:
        together.wait()
        return thing()

    with ThreadPoolExecutor(THREADS) as pool:
        got = set(pool.map(ask, range(THREADS)))
    assert got == set(made)
    assert len(made) == 1


def test_what_could_not_be_made_is_made_by_the_next_who_asks() -> None:
    fails = [True, False]

    @once
    def thing() -> str:
        if fails.pop(0):
            raise OSError("not yet")
        return "made"

    with pytest.raises(OSError, match="not yet"):
        thing()
    assert thing() == thing() == "made"
