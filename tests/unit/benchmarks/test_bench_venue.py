"""What the bench of the venue counts and signs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.samples import Samples
from benchmarks.venue import Series
from benchmarks.venue_listeners import MARK, Listener
from benchmarks.venue_trader import SECRET, signed

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


@given(frames=st.integers(0, 6), cuts=st.lists(st.integers(1, 40), max_size=60))
def test_every_frame_is_counted_once_however_it_comes(frames: int, cuts: list[int]) -> None:
    async def read() -> int:
        listener = Listener("/", "x")
        # An answer to the handshake comes by itself: nothing is sent before a subscription
        listener.data_received(HEAD)
        data = (b"\x81\x20{" + MARK + b',"E":1}') * frames
        for cut in cuts:
            listener.data_received(data[:cut])
            data = data[cut:]
        listener.data_received(data)
        assert listener.opened.result()
        return len(listener.came)

    assert asyncio.run(read()) == frames


def test_an_order_is_signed_as_the_venue_reads_it() -> None:
    query, _, signature = signed({"symbol": "BTCUSDT"}).partition("&signature=")
    assert query.startswith("symbol=BTCUSDT&timestamp=")
    assert signature == hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()


def test_a_series_is_told_beside_its_floor() -> None:
    path = Series(Samples([2_000, 4_000, 6_000]), rates=[10.0, 30.0, 20.0], cpu_s=3e-3)
    floor = Series(Samples([2_000]), rates=[50.0], cpu_s=5e-4)
    told = path.figures(floor)
    assert (told["per_s"], told["p50_us"], told["cpu_us"]) == (20, 4.0, 1000)
    assert (told["to_floor_p50"], told["to_floor_cpu"]) == (2.0, 2.0)
