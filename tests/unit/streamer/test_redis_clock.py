"""Redis' time as seen from here: what each answer bounds, and no more."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pms.streamer.redis_clock import RedisClock


class Line:
    """A Redis whose clock is ahead of ours, at the end of a line whose two ways take their time."""

    def __init__(self, ahead_s: float) -> None:
        self.now, self.ahead_s = 100.0, ahead_s
        self.there = self.back = 0.0

    async def time(self) -> tuple[int, int]:
        self.now += self.there
        micros = round((self.now + self.ahead_s) * 1_000_000)
        self.now += self.back
        return divmod(micros, 1_000_000)

    def wrong_ms(self, clock: RedisClock) -> float:
        return abs(clock.now_ms() - (self.now + self.ahead_s) * 1000)


def clock_on(line: Any) -> RedisClock:
    return RedisClock(line, monotonic=lambda: line.now)


async def asked(line: Line, clock: RedisClock, *, there: float, back: float) -> None:
    line.there, line.back = there, back
    await clock.sync()


def test_a_slow_answer_does_not_spoil_what_quick_ones_have_told() -> None:
    async def run() -> None:
        line = Line(5.0)
        clock = clock_on(line)
        await asked(line, clock, there=0.001, back=0.001)
        await asked(line, clock, there=0.3, back=0.001)
        assert line.wrong_ms(clock) <= 2
        await asked(line, clock, there=0.001, back=0.3)
        assert line.wrong_ms(clock) <= 2

    asyncio.run(run())


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    st.floats(-3, 3),
    st.tuples(st.floats(0, 0.01), st.floats(0, 0.01)),
)
def test_it_is_never_further_off_than_the_last_round_trip_whatever_the_clock_was_set_to(
    trips: list[tuple[float, float]], jump: float, last: tuple[float, float]
) -> None:
    async def run() -> None:
        line = Line(5.0)
        clock = clock_on(line)
        for there, back in trips:
            await asked(line, clock, there=there, back=back)
            assert line.wrong_ms(clock) <= (there + back) * 1000 + 2
        line.ahead_s += jump
        await asked(line, clock, there=last[0], back=last[1])
        assert line.wrong_ms(clock) <= sum(last) * 1000 + 2

    asyncio.run(run())
