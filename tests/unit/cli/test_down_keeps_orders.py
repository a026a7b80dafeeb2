"""`pms down --keep-orders` fails where the streamer could not stop every countdown."""

from __future__ import annotations

from pathlib import Path

import pytest

from pms.cli.session import Failed
from pms.cli.up import _fail_where_armed
from pms.contract import names
from pms.stack.logs import Tail


def test_symbols_that_stay_armed_are_said_and_those_of_an_earlier_end_are_not(tmp_path: Path) -> None:
    log = tmp_path / "streamer.log"
    log.write_text(f"{names.LEFT_ARMED} symbols=['ETHUSDT']\n")
    told = Tail.from_end(log)
    with log.open("a") as more:
        more.write(f"ended\n{names.LEFT_ARMED} symbols=['BTCUSDT']\n")
    with pytest.raises(Failed, match="BTCUSDT"):
        _fail_where_armed(told)


def test_silence_is_no_proof_and_neither_is_what_an_earlier_end_said(tmp_path: Path) -> None:
    log = tmp_path / "streamer.log"
    log.write_text(f"{names.DEAD_MAN_STOPPED} symbols=[]\n")
    told = Tail.from_end(log)
    with pytest.raises(Failed, match="nobody said"):
        _fail_where_armed(told)
    with log.open("a") as more:
        more.write(f"{names.DEAD_MAN_STOPPED} symbols=['BTCUSDT']\n")
    _fail_where_armed(told)
