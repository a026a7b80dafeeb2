"""A trade is reassigned once, however long ago that was, and again only after it has come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner
from redis import Redis

from pms.bus.connection import connect
from pms.cli.corrections import reassign
from pms.cli.session import Session
from pms.contract import names
from pms.contract.journal import FORMAT, CommandRow, Entry, FillRow, Rows, encode_entry
from pms.db import engine as engines
from pms.db.fold import fold

D = Decimal
Reassign = Callable[[str, str], str]


def trade(owner: str) -> FillRow:
    return FillRow(
        symbol="BTCUSDT",
        exchange_order_id=77,
        trade_id=1,
        client_order_id=None,
        sub_account_id=owner,
        side="BUY",
        price=D(60000),
        quantity=D("0.050"),
        commission=D("1.5"),
        commission_asset="USDT",
        realized_pnl=D(0),
        venue_realized_pnl=D(0),
        maker=False,
        venue_time=1_700_000_000_000,
    )


def decided(request_id: str, decision: str, at: int) -> CommandRow:
    answer = json.dumps({"success": True, "requestId": request_id, "state": "done", "details": {}})
    return CommandRow(
        request_id=request_id,
        command="pms.reassign",
        sub_account_id=None,
        text="{}",
        decision=decision,
        code=None,
        client_order_id=None,
        answer=answer,
        received_at=at,
        decided_at=at,
    )


class Desk:
    """Decides what it is sent, journals that, and a day later remembers nothing of it."""

    def __init__(self, redis_url: str, database_url: str) -> None:
        self.redis_url, self.database_url = redis_url, database_url
        self.moves: list[tuple[str, str]] = []
        self.refuses = False
        self._seq = 0

    async def journal(self, **rows: Any) -> None:
        redis, engine = connect(self.redis_url, name="test"), engines.create(self.database_url, name="test")
        self._seq += 1
        entry = Entry(v=FORMAT, seq=self._seq, prev=self._seq - 1, at=1, kind="order", rows=Rows(**rows))
        await redis.xadd(names.JOURNAL, {"e": encode_entry(entry)}, id=f"{self._seq}-0")
        await fold(redis, engine)
        await engine.dispose()
        await redis.aclose()

    async def send(
        self, _session: Session, command: str, fields: dict[str, Any], *, request_id: str
    ) -> dict[str, Any]:
        assert command == "pms.reassign"
        decision = "refused" if self.refuses else "admitted"
        await self.journal(commands=(decided(request_id, decision, self._seq),))
        if self.refuses:
            return {"success": False, "code": "MARGIN", "error": "no"}
        self.moves.append((fields["fromAccountId"], fields["toAccountId"]))
        return {"success": True, "state": "done"}

    def reassign(self, giver: str, taker: str) -> str:
        """Run the command line in a Redis that has forgotten all records."""
        with Redis.from_url(self.redis_url) as redis:
            for key in redis.scan_iter("pms:request:*"):
                redis.delete(key)
        words = ["BTCUSDT", "--order", "77", "--from", giver, "--to", taker, "--reason", "why", "--yes"]
        return CliRunner().invoke(reassign, words).output


@pytest.fixture
def desk(redis_url: str, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Desk:
    desk = Desk(redis_url, database_url)
    monkeypatch.setenv("PMS_HOME", str(tmp_path))
    monkeypatch.setenv("PMS_REDIS_URL", redis_url)
    monkeypatch.setenv("PMS_DATABASE_URL", database_url)

    async def send(
        session: Session, command: str, fields: dict[str, Any], *, request_id: str, again: str
    ) -> Any:
        assert "Type it again" in again, "the command line takes no request id beside --order"
        return await desk.send(session, command, fields, request_id=request_id)

    monkeypatch.setattr(Session, "send", send)
    return desk


@pytest.mark.parametrize(
    ("owner", "giver", "taker"),
    [("house", "house", "alice"), ("alice", "alice", "house"), ("bob", "house", "alice")],
)
def test_a_repeat_moves_nothing_until_it_has_come_back(
    desk: Desk, owner: str, giver: str, taker: str
) -> None:
    asyncio.run(desk.journal(fills=(trade(owner),)))
    there, back = (giver, taker), (taker, giver)
    for moved in ([there], [there, back], [there, back, there], [there, back, there, back]):
        assert desk.reassign(*moved[-1]).startswith("done")
        assert desk.moves == moved
        for _ in range(2):
            assert desk.reassign(*moved[-1]).startswith("was done")
        assert desk.moves == moved


def test_what_was_refused_may_be_tried_again(desk: Desk) -> None:
    asyncio.run(desk.journal(fills=(trade("house"),)))
    desk.refuses = True
    for _ in range(2):
        assert "refused MARGIN" in desk.reassign("house", "alice")
    desk.refuses = False
    desk.reassign("house", "alice")
    desk.reassign("house", "alice")
    assert desk.moves == [("house", "alice")]
