"""A state directory belongs to its ticks and lots: in others all that is in it would be something else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from venue_client import VenueClient

from pms.venue.app import VenueStartError
from pms.venue.symbols import SHIPPED


def other_sizes(path: Path, **sizes: str) -> Path:
    """The shipped symbols, with other sizes for BTCUSDT."""
    info = json.loads(SHIPPED.read_text())
    symbol = next(each for each in info["symbols"] if each["symbol"] == "BTCUSDT")
    symbol |= {"quantityPrecision": 4, "pricePrecision": 2}
    for each in symbol["filters"]:
        each.update({name: size for name, size in sizes.items() if name in each})
    path.write_text(json.dumps(info))
    return path


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"tickSize": "0.01"}, "tickSize 0.01 and stepSize 0.001;"),
        ({"stepSize": "0.0001", "minQty": "0.0001"}, "tickSize 0.1 and stepSize 0.0001;"),
    ],
)
async def test_a_directory_is_not_read_in_other_ticks_or_lots(
    start: Any, tmp_path: Path, sizes: dict[str, str], told: str
) -> None:
    await start(state=tmp_path / "state")
    # As SIGKILL leaves it before anybody traded, and before anything was cut
    copy = shutil.copytree(tmp_path / "state", tmp_path / "copy")
    journal = (copy / "venue.journal").read_bytes()
    symbols = other_sizes(tmp_path / "symbols.json", **sizes)
    with pytest.raises(VenueStartError) as refused:
        await start(state=copy, symbols=symbols)
    assert str(refused.value).startswith(
        "BTCUSDT: the state directory counts in ticks of 0.1 and lots of 0.001,"
    )
    assert told in str(refused.value)
    assert (copy / "venue.journal").read_bytes() == journal
    # It still starts in its own, and others may begin anew elsewhere
    await start(state=copy)
    await start(state=tmp_path / "new", symbols=symbols)


async def test_a_snapshot_remembers_them_and_a_directory_of_before_takes_those_that_it_is_started_with(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    running = await start(state=tmp_path / "state")
    client = VenueClient(session, running.url)
    await client.levels(bids=[["59999.9", "1"]], asks=[["60000.1", "1"]])
    await client.market("BUY", "0.5")
    assert await running.keeper.cut()
    killed = shutil.copytree(tmp_path / "state", tmp_path / "killed")
    assert "symbol" not in (killed / "venue.journal").read_text()
    symbols = other_sizes(tmp_path / "symbols.json", tickSize="0.01")
    with pytest.raises(VenueStartError, match=r"^BTCUSDT: .* ticks of 0\.1 "):
        await start(state=killed, symbols=symbols)
    old = tmp_path / "old"
    old.mkdir()
    (old / "venue.journal").write_text(
        '[{"k":"symbol","symbol":"BTCUSDT","order_ids":7,"trade_ids":9,"last_price":600000}]\n'
    )
    await start(state=old)
    with pytest.raises(VenueStartError, match=r"^BTCUSDT: .* ticks of 0\.1 "):
        await start(state=shutil.copytree(old, tmp_path / "later"), symbols=symbols)


async def test_a_conditional_order_of_a_symbol_that_is_gone_is_in_nobodys_way(
    start: Any, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    running = await start(state=tmp_path / "state")
    client = VenueClient(session, running.url)
    stop = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "symbol": "ETHUSDT", "side": "SELL"}
    placed = await client.ok("POST", "/fapi/v1/algoOrder", **stop, quantity="1", triggerPrice="2000")
    info = json.loads(SHIPPED.read_text())
    info["symbols"] = [each for each in info["symbols"] if each["symbol"] != "ETHUSDT"]
    (tmp_path / "symbols.json").write_text(json.dumps(info))
    copy = shutil.copytree(tmp_path / "state", tmp_path / "copy")
    running = await start(state=copy, symbols=tmp_path / "symbols.json")
    client = VenueClient(session, running.url)
    journal = (copy / "venue.journal").read_bytes()
    for _ in range(2):
        assert await client.code("DELETE", "/fapi/v1/algoOrder", algoId=placed["algoId"]) == -2011
    assert (copy / "venue.journal").read_bytes() == journal
    assert await client.ok("GET", "/fapi/v1/openAlgoOrders") == []
    await client.ok("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    await client.ok("POST", "/fapi/v1/positionSide/dual", dualSidePosition="false")
    # It was not lost: where the symbol is back it waits on
    copy = shutil.copytree(copy, tmp_path / "again")
    client = VenueClient(session, (await start(state=copy)).url)
    assert (await client.ok("DELETE", "/fapi/v1/algoOrder", algoId=placed["algoId"]))["msg"] == "success"
