"""A risk report from a real database, Redis and exchange; its limits told; its refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from entries import account, entry, journal, order, position
from redis.asyncio import Redis
from shifted_clock import Clock
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.binance.client import ExchangeClient
from pms.bus.inbox import Inbox, LimitTold
from pms.config import ConfigError, load_settings
from pms.contract import names
from pms.contract.events import Price
from pms.contract.journal import IncidentRow, LimitRow
from pms.contract.money import decode_object, encode
from pms.contract.portfolio import PortfolioReport, read_portfolio
from pms.db.errors import Unreachable
from pms.db.fold import fold
from pms.domain.risk_limits import KIND
from pms.flows.answer_risk import answer_risk
from pms.flows.portfolio import Deps, watch_risk
from pms.flows.risk_terms import terms_of
from pms.venue.app import RunningVenue

D = Decimal
ROWS: dict[str, Any] = {
    "sub_accounts": (
        account("alice", balance=D("20000")),
        account("bob", balance=D("5000.50")),
        account("house", balance=D("1000")),
    ),
    "positions": (
        position(sub_account_id="alice", quantity=D(1), cost=D(60_000), leverage=20),
        position(sub_account_id="bob", symbol="ETHUSDT", quantity=D(-2), cost=D(-5_200)),
        position(sub_account_id="bob", symbol="BTCUSDT", quantity=D(0), cost=D(0)),
    ),
    "orders": (
        order(
            "PMS_alice_M_1",
            state="active",
            quantity=D(2),
            price=D(50_000),
            leverage=20,
            exchange_order_id=5,
        ),
        order("PMS_alice_M_2", state="filled", quantity=D(9), price=D(50_000)),
    ),
}


class Desk:
    """A desk in PostgreSQL, with prices in Redis."""

    def __init__(self, redis: Any, engine: AsyncEngine, client: ExchangeClient) -> None:
        self.redis = redis
        self.deps = Deps(redis, engine, client, terms_of(load_settings(of_running_stack=False)))
        self.engine, self.seq = engine, 0

    async def write(self, **rows: Any) -> None:
        self.seq += 1
        await journal(self.redis, [entry(self.seq, at=self.seq * 1000, **rows)])
        await fold(self.redis, self.engine)

    async def price(self, symbol: str, mid: str) -> None:
        seconds, micros = await self.redis.time()
        ts = seconds * 1000 + micros // 1000
        price = Price(bid=D(mid) - 1, ask=D(mid) + 1, mid=D(mid), ts=ts)
        await self.redis.set(names.price_key(symbol), encode(price))

    async def limit(self, name: str, value: str | None, scope: str = "*") -> None:
        """Set a limit, or remove it."""
        who = {"symbol": "", "actor": "ann", "reason": "a test", "at": 1, "request_id": str(uuid4())}
        await self.write(limits=(LimitRow(scope=scope, name=name, value=value, **who),))  # type: ignore[arg-type]

    async def watch(self) -> tuple[PortfolioReport, list[LimitTold]]:
        """The periodic run, and what it told the streamer."""
        report = await watch_risk(self.deps, report_id=str(uuid4()))
        told = await Inbox(self.redis).rest(most=1000)
        assert all(isinstance(each, LimitTold) for each in told)
        return report, told  # type: ignore[return-value]

    async def ask(self, **fields: Any) -> tuple[dict[str, Any], PortfolioReport | None]:
        """A request, its result as it is published, and the report it names."""
        fields.setdefault("requestId", str(uuid4()))
        await answer_risk(self.redis, lambda: self.deps, fields)
        result = decode_object(await self.redis.get(names.result_key(fields["requestId"])))
        text = await self.redis.get(names.portfolio_key(fields["requestId"]))
        return result, None if text is None else read_portfolio(text)


@pytest.fixture
async def desk(redis: Redis, engine: AsyncEngine, client: ExchangeClient) -> Desk:
    desk = Desk(redis, engine, client)
    await desk.write(**ROWS)
    await desk.price("BTCUSDT", "61000")
    await desk.price("ETHUSDT", "2500")
    return desk


async def test_the_books_at_one_seq_and_the_prices_beside_them(desk: Desk) -> None:
    report, told = await desk.watch()
    assert told == []
    assert (report.seq, report.entry_at) == (1, 1000)
    assert report.method.bars == 500
    assert report.warnings == []
    alice = next(each for each in report.accounts if each.name == "alice")
    assert (alice.equity, alice.gross, alice.unrealized) == (21_000, 61_000, 1000)
    # 60,000 at 20 times, and an order for two that would open both of them: 100,000 at 20 times.
    assert alice.margin_used == 3000 + 5000
    assert alice.maintenance == D("0.004") * 61_000
    assert {each.symbol: (each.price, each.price_source) for each in report.symbols} == {
        "BTCUSDT": (61_000, "mid"),
        "ETHUSDT": (2500, "mid"),
    }
    assert all(0 <= (each.price_age or 0) < 60_000 for each in report.symbols)
    assert (report.net.equity, report.net.net) == (D("27200.5"), 56_000)
    for figure in (report.net.var, report.net.es, report.net.parametric_var, report.virtual.var):
        assert figure is not None
        assert 0 < figure < report.net.gross
    kept = read_portfolio(await desk.redis.get(names.PORTFOLIO))
    assert kept == report
    assert 0 < await desk.redis.ttl(names.PORTFOLIO) <= 900


async def test_without_a_live_price_the_last_close_is_taken_and_said_to_be(desk: Desk) -> None:
    await desk.redis.delete(names.price_key("ETHUSDT"))
    report, _ = await desk.watch()
    eth = next(each for each in report.symbols if each.symbol == "ETHUSDT")
    assert eth.price_source == "close"
    assert (eth.price_age or 0) < 2 * 86_400_000
    assert "no live price, taken at the last close: ETHUSDT" in report.warnings


async def test_a_symbol_without_price_past_and_brackets_is_counted_and_named(desk: Desk) -> None:
    strange = position(sub_account_id="bob", symbol="GONEUSDT", quantity=D(3), cost=D(30))
    await desk.write(positions=(strange,))
    report, _ = await desk.watch()
    gone = next(each for each in report.symbols if each.symbol == "GONEUSDT")
    assert (gone.price, gone.price_source, gone.covered, gone.brackets) == (None, "entry", False, False)
    assert report.net.uncovered == 30
    assert len(report.warnings) == 3


async def test_a_position_without_an_account_is_at_risk_too(desk: Desk) -> None:
    await desk.write(
        positions=(position(sub_account_id="lost", quantity=D(-3), cost=D(-183_000)),),
        orders=(order("PMS_lost_M_1", sub_account_id="lost", state="active"),),
    )
    report, _ = await desk.watch()
    lost = next(each for each in report.accounts if each.name == "lost")
    assert (lost.equity, lost.gross) == (0, 183_000)
    assert report.net.net == 56_000 - 183_000


async def test_an_old_past_is_used_and_named(desk: Desk, venue: RunningVenue, clock: Clock) -> None:
    before, _ = await desk.watch()
    await venue.close()
    clock.ahead_ms = 3 * 86_400_000
    report, _ = await desk.watch()
    assert report.net.var == before.net.var
    assert report.warnings == ["history not up to date: BTCUSDT, ETHUSDT"]


async def test_while_the_exchange_is_away_all_that_needs_no_past_is_told(
    desk: Desk, venue: RunningVenue
) -> None:
    await venue.close()
    report, _ = await desk.watch()
    assert (report.net.var, report.method.bars, report.method.reference) == (None, 0, None)
    assert report.net.gross == 66_000
    assert report.net.stress_loss > 0
    assert "brackets not told, those of a small symbol taken: BTCUSDT, ETHUSDT" in report.warnings


async def test_a_limit_is_told_when_crossed_once_and_when_it_is_over(desk: Desk) -> None:
    """What stands is read from PostgreSQL: told again only if the streamer did not hear of it."""
    await desk.limit("risk.margin", "30")
    report, told = await desk.watch()
    assert told == [LimitTold("account", "alice", "margin", D("6300.00"), D("8000.00"))]
    assert [each.name for each in report.crossed] == ["alice"]
    assert (await desk.watch())[1] == told, "it was never journaled, so it is told again"
    row = IncidentRow(
        seq=2,
        kind=KIND,
        severity="warning",
        detail="d",
        at=1,
        subject="account alice margin",
        evidence="{}",
        last_at=1,
    )
    await desk.write(incidents=(row,))
    assert (await desk.watch())[1] == []
    await desk.limit("risk.margin", "40")  # 8,000 are 95 % of it: neither above it nor well below
    assert (await desk.watch())[1] == []
    await desk.limit("risk.margin", "50", scope="alice")
    _, (over,) = await desk.watch()
    assert over == LimitTold("account", "alice", "margin", D("10500.00"), D("8000.00"), over=True)


async def test_a_group_s_limit_is_the_group_s_and_its_accounts(desk: Desk) -> None:
    await desk.write(sub_accounts=(account("alice", balance=D("20000"), group="funds"),))
    await desk.limit("risk.margin", "1", scope="group:funds")
    _, told = await desk.watch()
    assert {(each.scope, each.name) for each in told} == {("group", "funds"), ("account", "alice")}


async def test_in_a_crash_only_so_many_limits_are_told_at_once_and_all_are_counted(desk: Desk) -> None:
    names_ = [f"n{n:07}" for n in range(120)]
    await desk.write(
        sub_accounts=tuple(account(name, balance=D(1)) for name in names_),
        positions=tuple(position(sub_account_id=name, quantity=D(1), cost=D(61_000)) for name in names_),
    )
    await desk.limit("risk.stress", "50")
    report, told = await desk.watch()
    assert len(told) == 50
    assert told[0].scope == "desk"
    assert len(report.crossed) > 120


async def test_a_request_is_answered_with_a_report_of_one_account(desk: Desk) -> None:
    result, report = await desk.ask(subAccountId="bob", scenario={"name": "mine", "others": 500})
    assert result["success"]
    assert report is not None
    assert [each.name for each in report.accounts] == ["bob"]
    first = report.outcomes[0]
    assert (first.scenario, first.change, first.verdict) == ("mine", -25_000, "bankrupt")
    assert [each.name for each in report.scenarios][:2] == ["mine", "crash"]
    assert await desk.redis.get(names.PORTFOLIO) is None, "it is nobody else's report"


async def test_a_request_tells_no_limit(desk: Desk) -> None:
    await desk.limit("risk.margin", "1")
    _, report = await desk.ask()
    assert report is not None
    assert report.crossed
    assert await desk.redis.llen(names.INBOX) == 0


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"subAccountId": "nobody"}, "UNKNOWN_ACCOUNT", "subAccountId"),
        ({"subAccountId": ""}, "BAD_FIELD", "subAccountId"),
        ({"account": "alice"}, "UNKNOWN_FIELD", "account"),
        ({"scenario": "nothing like it"}, "BAD_FIELD", "scenario"),
        ({"scenario": {"name": "x", "others": -101}}, "BAD_FIELD", "scenario.others"),
        ({"scenario": 5}, "BAD_FIELD", "scenario.str"),
    ],
)
async def test_a_bad_request_is_refused_by_field(
    desk: Desk, fields: dict[str, Any], code: str, field: str
) -> None:
    result, report = await desk.ask(**fields)
    assert (result["success"], result["code"], result["field"], report) == (False, code, field, None)


async def test_a_request_without_an_id_of_its_own_cannot_be_answered(desk: Desk) -> None:
    for fields in ({}, {"requestId": "latest"}, {"requestId": 7}):
        assert await answer_risk(desk.redis, lambda: desk.deps, fields) is None
    assert await desk.redis.get(names.PORTFOLIO) is None


async def test_what_keeps_the_figures_from_being_made_is_the_answer(
    desk: Desk, redis: Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    bad = tmp_path / "scenarios.json"
    bad.write_text('[{"name": "x", "others": -500}]')
    monkeypatch.setenv("PMS_RISK_SCENARIOS", str(bad))

    def broken() -> Deps:
        return replace(desk.deps, terms=terms_of(load_settings(of_running_stack=False)))

    request_id = str(uuid4())
    result = await answer_risk(redis, broken, {"requestId": request_id})
    assert result is not None
    assert (result.success, result.code) == (False, "NOT_READY")
    assert "PMS_RISK_SCENARIOS" in (result.error or "")
    for text, words in (("{", "not JSON"), ("{}", "list"), (None, "cannot be read")):
        bad.unlink() if text is None else bad.write_text(text)
        with pytest.raises(ConfigError, match=words):
            broken()


async def test_without_postgresql_there_is_no_report_and_the_last_one_stands(
    desk: Desk, make_away: Callable[[], AsyncEngine]
) -> None:
    report, _ = await desk.watch()
    desk.deps = replace(desk.deps, database=make_away())
    with pytest.raises(Unreachable):
        await watch_risk(desk.deps, report_id="r")
    assert (await desk.ask())[0]["code"] == "NOT_READY"
    assert read_portfolio(await desk.redis.get(names.PORTFOLIO)) == report


@pytest.fixture
async def make_away() -> Any:
    """An engine of a database that is not there."""
    from pms.db import engine as engines

    return lambda: engines.create("postgresql://nobody@127.0.0.1:1/none", name="test")
