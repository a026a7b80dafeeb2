"""`pms venue reset` and `pms venue verify` on the directory of a venue that traded."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from pms.cli.main import cli
from pms.venue.app import AccountSpec, VenueConfig, VenueStartError, serve
from pms.venue.checks import NewOrder
from pms.venue.matching import BUY, SelfTrade, TimeInForce
from pms.venue.store.compaction import compact
from pms.venue.store.files import StateDirectory


def config(root: Path) -> VenueConfig:
    return VenueConfig(port=0, accounts=(AccountSpec.parse("demo:K:S:100000"),), market="none", state=root)


def buy(number: int) -> NewOrder:
    return NewOrder(
        symbol="BTCUSDT",
        side=BUY,
        type="LIMIT",
        time_in_force=TimeInForce.GTC,
        lots=10,
        price=500_000,
        reduce_only=False,
        client_order_id=f"o{number}",
        self_trade=SelfTrade.NONE,
    )


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    """Three open orders and two that are over, one of those in the history."""
    root = tmp_path / "state"

    async def trade() -> None:
        running = await serve(config(root))
        exchange, journal = running.venue.exchange, running._journal
        account = exchange.accounts["demo"]
        for number in range(5):
            exchange.place(account, buy(number))
            if number in (0, 3):
                exchange.cancel(account, "BTCUSDT", order_id=None, client_order_id=f"o{number}")
            if number == 1:
                journal.cut()  # type: ignore[union-attr]
                compact(StateDirectory(root), now=0)
        await running.close()

    asyncio.run(trade())
    return root


def counted(said: str) -> dict[str, int]:
    return {line[:28].strip(): int(line[28:]) for line in said.splitlines()}


def test_verify_says_what_a_start_would_find(traded: Path) -> None:
    result = CliRunner().invoke(cli, ["venue", "verify", str(traded)])
    assert result.exit_code == 0, result.output
    rows = counted(result.stdout)
    assert (rows["accounts"], rows["open orders"], rows["orders over, in the journal"]) == (1, 3, 1)
    # The deposit and one order
    assert (rows["snapshot behind segment"], rows["rows of history"]) == (1, 2)


def test_verify_names_what_is_damaged(traded: Path) -> None:
    live = StateDirectory(traded).live
    live.write_bytes(b"[{}]\n" + live.read_bytes())
    result = CliRunner().invoke(cli, ["venue", "verify", str(traded)])
    assert result.exit_code == 1
    assert f"{live} line 1 is damaged" in result.stderr


def test_reset_deletes_all_and_the_next_venue_begins_anew(traded: Path) -> None:
    result = CliRunner().invoke(cli, ["venue", "reset", "--state", str(traded), "--yes"])
    assert result.exit_code == 0, result.output
    assert str(StateDirectory(traded).history) in result.stdout
    assert StateDirectory(traded).owned() == []

    async def looked() -> tuple[int, Decimal]:
        running = await serve(config(traded))
        account = running.venue.exchange.accounts["demo"]
        found = len(account.orders_from("BTCUSDT", 0, 10)), account.wallet.balance
        await running.close()
        return found

    assert asyncio.run(looked()) == (0, 100_000)


def test_reset_asks_first(traded: Path) -> None:
    before = StateDirectory(traded).owned()
    result = CliRunner().invoke(cli, ["venue", "reset", "--state", str(traded)])
    assert result.exit_code == 1
    assert "say --yes" in result.stderr
    assert f"{len(before)} files" in result.stderr
    assert StateDirectory(traded).owned() == before


async def test_reset_is_refused_while_a_venue_runs(tmp_path: Path) -> None:
    running = await serve(config(tmp_path))
    before = StateDirectory(tmp_path).owned()
    result = CliRunner().invoke(cli, ["venue", "reset", "--state", str(tmp_path), "--yes"])
    assert result.exit_code == 1
    assert "a venue runs on" in result.stderr
    assert StateDirectory(tmp_path).owned() == before
    await running.close()


def test_what_a_reset_left_half_deleted_is_not_started_from(traded: Path) -> None:
    StateDirectory(traded).resetting.touch()
    StateDirectory(traded).live.unlink()
    with pytest.raises(VenueStartError, match="pms venue reset"):
        asyncio.run(serve(config(traded)))
    result = CliRunner().invoke(cli, ["venue", "reset", "--state", str(traded), "--yes"])
    assert result.exit_code == 0
    assert not StateDirectory(traded).resetting.exists()
