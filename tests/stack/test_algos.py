"""Algos on real processes: through Celery and the lists, to the venue and back; killed in the middle."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from system import System, until

from pms.contract.names import right_key
from pms.domain.algos.ids import slot_of

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

CHASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.5", "leverage": 10}


async def shown(system: System, kind: str, algo_id: str) -> dict[str, Any]:
    """An algo as a page sees it."""
    text = await system.redis.get(f"pms:{kind}:{algo_id}")
    return json.loads(text, parse_float=Decimal) if text else {}


async def stands(
    system: System, kind: str, algo_id: str, status: str, *, seconds: float = 30
) -> dict[str, Any]:
    """Wait until an algo has a status."""
    seen: dict[str, Any] = {}

    async def there() -> bool:
        seen.update(await shown(system, kind, algo_id))
        return seen.get("status") == status

    await until(there, f"{kind} {algo_id} to be {status}", seconds=seconds, tell=lambda: str(seen))
    return seen


async def ours(system: System, algo_id: str) -> list[Any]:
    """The algo's orders in PostgreSQL."""
    await system.settled()
    return await system.rows(
        "select * from pms.orders where parent_id = :id order by admitted_at", id=algo_id
    )


async def at_venue(system: System, algo_id: str) -> list[dict[str, Any]]:
    """The algo's open orders at the venue."""
    orders = (await system.admin("GET", "orders"))["orders"]
    names = {row.client_order_id for row in await ours(system, algo_id)}
    opened = {"NEW", "PARTIALLY_FILLED"}
    return [each for each in orders if each["clientOrderId"] in names and each["status"] in opened]


async def live(system: System, algo_id: str, *, kind: str = "chase") -> dict[str, Any]:
    """Its one order at the venue."""
    found: list[dict[str, Any]] = []

    seen: dict[str, Any] = {}

    async def there() -> bool:
        seen.update(await shown(system, kind, algo_id))
        found[:] = await at_venue(system, algo_id)
        return len(found) == 1

    await until(there, f"an order of {algo_id} at the venue", seconds=15, tell=lambda: str(seen))
    return found[0]


async def sold_to(system: System, algo_id: str) -> dict[str, Any]:
    """Sell to whatever rests of a chase until it is filled: it and the market move between two looks."""
    seen: dict[str, Any] = {}

    async def filled() -> bool:
        seen.update(await shown(system, "chase", algo_id))
        for each in await at_venue(system, algo_id):
            await system.sweep_to(Decimal(each["price"]), "2")
        return seen.get("status") == "finished"

    await until(filled, f"chase {algo_id} to be filled", seconds=30, tell=lambda: str(seen))
    return seen


async def test_a_chase_rests_and_is_filled_exactly(system: System) -> None:
    terms = {**CHASE, "stalkOffset": "0.1", "stalkMode": "trail"}
    started = await system.ask("pms.chase", subAccountId="alice", **terms)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    await live(system, algo_id)
    seen = await sold_to(system, algo_id)
    assert (Decimal(seen["filled"]), seen["liveOrders"]) == (Decimal("0.5"), 0)
    rows = await ours(system, algo_id)
    assert sum(row.filled_qty for row in rows) == Decimal("0.5")
    assert {row.origin for row in rows} == {"CHASE"}
    (algo,) = await system.rows("select * from pms.algos where id = :id", id=algo_id)
    assert (algo.status, algo.sub_account_id) == ("finished", "alice")
    assert (await system.audit())["agrees"]


async def test_a_cancelled_chase_leaves_nothing_at_the_exchange(system: System) -> None:
    terms = {**CHASE, "stalkOffset": "1", "stalkMode": "maintain"}
    started = await system.ask("pms.chase", subAccountId="alice", **terms)
    algo_id = started["details"]["algoId"]
    order = await live(system, algo_id)
    ended = await system.ask("pms.cancel_algo", algoId=algo_id)
    assert ended["success"], ended
    await stands(system, "chase", algo_id, "cancelled")
    orders = (await system.admin("GET", "orders"))["orders"]
    (gone,) = [each for each in orders if each["clientOrderId"] == order["clientOrderId"]]
    assert gone["status"] == "CANCELED"
    again = await system.ask("pms.cancel_algo", algoId=algo_id)
    assert again["code"] == "ALGO_OVER"


async def test_a_chase_goes_on_behind_the_death_of_streamer_and_workers(system: System) -> None:
    terms = {**CHASE, "stalkOffset": "0.1", "stalkMode": "trail"}
    started = await system.ask("pms.chase", subAccountId="bob", **terms)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    order = await live(system, algo_id)
    system.kill("worker-orders")
    await system.restart("streamer")
    await system.sweep_to(Decimal(order["price"]), "0.2")
    system.start("worker-orders")
    seen = await sold_to(system, algo_id)
    assert Decimal(seen["filled"]) == Decimal("0.5")
    assert sum(row.filled_qty for row in await ours(system, algo_id)) == Decimal("0.5")
    assert (await system.audit())["agrees"]


async def test_a_trailing_stop_and_a_bracket_close_what_they_protect_behind_a_death(system: System) -> None:
    for account in ("carol", "dave"):
        await system.account(account)
    bid, tick = await system.bid("BTCUSDT"), Decimal("0.1")
    profit, loss = ((bid * part).quantize(tick) for part in (Decimal("1.03"), Decimal("0.999")))
    entry = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "leverage": 10}
    exits = {"takeProfit": str(profit), "stopLoss": str(loss)}
    started = await system.ask("pms.bracket", subAccountId="carol", **entry, **exits)
    assert started["success"], started
    bracket = started["details"]["algoId"]
    resting = await live(system, bracket, kind="bracket")
    assert (resting["side"], Decimal(resting["price"]), Decimal(resting["origQty"])) == (
        "SELL",
        profit,
        Decimal("0.05"),
    )
    bought = await system.trade("dave", quantity="0.03")
    assert bought["success"], bought
    terms = {"positionId": bought["position"]["id"], "callbackPct": "0.1"}
    started = await system.ask("pms.trail_stop", subAccountId="dave", **terms)
    assert started["success"], started
    trail = started["details"]["algoId"]
    await system.restart("streamer")
    await until(system.admitting, "admission", seconds=30)
    low = (bid * Decimal("0.997")).quantize(tick)

    async def fired() -> bool:
        """Sell through all that is bid, again and again: the market is back within a moment."""
        await system.sweep_to(low, "0.1")
        each = [
            await shown(system, kind, name) for kind, name in (("trailstop", trail), ("bracket", bracket))
        ]
        return all("fired" in str(one.get("reason")) or one.get("status") == "finished" for one in each)

    await until(fired, "both stops to fire", seconds=30)
    for kind, algo_id, quantity in (("trailstop", trail, "0.03"), ("bracket", bracket, "0.05")):
        seen = await stands(system, kind, algo_id, "finished")
        assert Decimal(seen["filled"]) == Decimal(quantity)
        sold = [row for row in await ours(system, algo_id) if row.side == "SELL"]
        assert sum(row.filled_qty for row in sold) == Decimal(quantity)
        assert all(row.reduce_only for row in sold)
    orders = (await system.admin("GET", "orders"))["orders"]
    (gone,) = [each for each in orders if each["clientOrderId"] == resting["clientOrderId"]]
    assert gone["status"] == "CANCELED"
    for account in ("carol", "dave"):
        rows = await system.rows("select quantity from pms.positions where sub_account_id = :of", of=account)
        assert [row.quantity for row in rows] == [0]
    assert (await system.audit())["agrees"]


async def test_a_scalper_goes_round_and_ends_flat(system: System) -> None:
    terms = {"symbol": "BTCUSDT", "quantity": "0.5", "layers": 2, "baseOffsetPct": "0.1", "legs": "long"}
    terms |= {"takeProfitPct": "2", "onEnd": "flatten"}
    words = [f"{name}={value}" for name, value in terms.items()]
    plan = json.loads(
        await system.cli("algo", "start", "scalper", "--account", "alice", "--dry-run", "--json", *words)
    )
    assert [slot["quantity"] for slot in plan["slots"] if slot["type"]] == [0.5, 0.5]
    started = await system.ask("pms.scalper", subAccountId="alice", leverage=10, **terms)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    entry = await rests(system, algo_id, "BUY")
    await system.sweep_to(Decimal(entry["price"]), "2")
    exits = await rests(system, algo_id, "SELL")
    assert Decimal(exits["price"]) > Decimal(entry["price"])
    ended = await system.ask("pms.cancel_algo", algoId=algo_id)
    assert ended["success"], ended
    seen = await stands(system, "scalper", algo_id, "cancelled")
    await system.settled()
    rows = await system.rows(
        "select side, sum(f.quantity) as quantity, sum(f.quantity * f.price) as quote from pms.fills f"
        " join pms.orders using (client_order_id, side) where parent_id = :id group by side order by side",
        id=algo_id,
    )
    bought, sold = rows
    assert bought.quantity == sold.quantity >= Decimal("0.5")
    figures = seen["figures"]
    assert (figures["held"], Decimal(figures["realizedPnl"])) == (0, sold.quote - bought.quote)
    history = json.loads(await system.cli("algo", "history", "--json"), parse_float=Decimal)
    (told,) = [each for each in history if each["algoId"] == algo_id]
    assert (told["status"], told["realizedPnl"]) == ("cancelled", figures["realizedPnl"])
    assert told["filled"] == bought.quantity + sold.quantity
    assert 0 < told["makerShare"] < 1
    assert "scalper cancelled" in await system.cli("algo", "show", algo_id[:13])
    assert (await system.audit())["agrees"]


async def rests(system: System, algo_id: str, side: str) -> dict[str, Any]:
    """Its order nearest to the market on a side, as the venue has it."""
    found: list[dict[str, Any]] = []

    seen: dict[str, Any] = {}

    async def there() -> bool:
        seen.update(await shown(system, "scalper", algo_id))
        names = {row.client_order_id for row in await ours(system, algo_id) if row.side == side}
        found[:] = [
            each
            for each in (await system.admin("GET", "orders"))["orders"]
            if each["clientOrderId"] in names and each["status"] in {"NEW", "PARTIALLY_FILLED"}
        ]
        return bool(found)

    await until(there, f"a {side} of {algo_id} at the venue", seconds=15, tell=lambda: str(seen))
    return sorted(found, key=lambda each: Decimal(each["price"]), reverse=side == "BUY")[0]


TWAP = {"symbol": "BTCUSDT", "side": "BUY", "totalSize": "0.403", "lots": 40, "duration": 5, "leverage": 10}


async def test_a_twap_s_slices_are_sent_once_each_at_their_moments(system: System) -> None:
    started = await system.ask("pms.twap", subAccountId="alice", jitter=40, **TWAP)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    assert started["details"]["slots"] == "40"
    seen = await stands(system, "twap", algo_id, "finished")
    assert (seen["reason"], Decimal(seen["filled"])) == ("filled", Decimal("0.403"))
    rows = await ours(system, algo_id)
    assert sum(row.filled_qty for row in rows) == Decimal("0.403")
    assert {row.origin for row in rows} == {"TWAP"}
    slots = await system.rows("select * from pms.algo_slots where algo_id = :id order by slot", id=algo_id)
    assert [slot.filled for slot in slots] == [slot.target for slot in slots]
    assert sum(slot.target for slot in slots) == Decimal("0.403")
    late, senders = await sent(system, {slot.slot: slot.due_at for slot in slots}, rows)
    print(f"\nslice due -> send right, ms: {told(late)}; by {dict(senders)}")
    assert (await system.audit())["agrees"]


async def test_a_twap_makes_up_for_an_outage_without_a_burst(system: System) -> None:
    terms = {**TWAP, "lots": 10, "totalSize": "0.1", "duration": 10, "mostCatchUp": 3}
    started = await system.ask("pms.twap", subAccountId="bob", **terms)
    assert started["success"], started
    algo_id = started["details"]["algoId"]
    system.kill("worker-schedule")
    await system.restart("streamer")
    system.start("worker-schedule")
    seen = await stands(system, "twap", algo_id, "finished")
    assert (seen["reason"], Decimal(seen["filled"])) == ("filled", Decimal("0.1"))
    rows = await ours(system, algo_id)
    assert sum(row.filled_qty for row in rows) == Decimal("0.1")
    slots = await system.rows("select * from pms.algo_slots where algo_id = :id", id=algo_id)
    assert max(slot.filled for slot in slots) <= Decimal("0.03")
    assert (await system.audit())["agrees"]


async def test_a_twap_goes_by_the_volume_that_the_venue_shows(system: System) -> None:
    minute = int(time.time()) // 60 * 60_000 - 2 * 86_400_000
    past = [[minute + n * 60_000, "60000", "60000", "60000", "60000", "5"] for n in range(2 * 1_440)]
    await system.admin("POST", "candles", symbol="ETHUSDT", interval="1m", candles=past)
    eth = {**TWAP, "symbol": "ETHUSDT", "totalSize": "1", "lots": 5, "duration": 2}
    weighed, taking = await asyncio.gather(
        system.ask("pms.twap", subAccountId="alice", profile="volume", profileDays=2, **eth),
        system.ask(
            "pms.twap",
            subAccountId="bob",
            profile="participation",
            participation=50,
            **{**TWAP, "totalSize": "0.04", "lots": 24, "duration": 30, "mostCatchUp": 10},
        ),
    )
    assert weighed["success"], weighed
    assert taking["success"], taking
    # Half of this is more than it is for
    await system.other_order("BTCUSDT", "SELL", "0.1", await system.bid("BTCUSDT") - 100)
    seen = await stands(system, "twap", weighed["details"]["algoId"], "finished")
    assert (seen["reason"], Decimal(seen["filled"])) == ("filled", Decimal(1))
    seen = await stands(system, "twap", taking["details"]["algoId"], "finished")
    assert (seen["reason"], Decimal(seen["filled"])) == ("filled", Decimal("0.04"))
    assert (await system.audit())["agrees"]


async def sent(system: System, due: dict[int, int], rows: list[Any]) -> tuple[list[int], Counter[str]]:
    """How late each slice's send right was taken, ms, and by whom."""
    late: list[int] = []
    senders: Counter[str] = Counter()
    roles = {str(process.pid): name for name, process in system.processes.items()}
    for row in rows:
        right = await system.redis.get(right_key(row.client_order_id))
        signed_at, sender = right.decode().split(" ", 1)
        late.append(int(signed_at) - due[slot_of(row.client_order_id)])
        senders[roles.get(sender.rpartition(":")[2], sender)] += 1
    return late, senders


def told(late: list[int]) -> str:
    ordered = sorted(late)
    p50, p99 = (ordered[int((len(ordered) - 1) * part)] for part in (0.5, 0.99))
    return f"p50 {p50}, p99 {p99}, most {ordered[-1]}, of {len(ordered)}"


async def test_a_basket_is_all_or_nothing_and_unwinds_exactly_behind_a_death(system: System) -> None:
    await system.account("erin")
    buys = {"symbol": "BTCUSDT", "side": "BUY", "leverage": 10}
    eth = {"algo": "market", "symbol": "ETHUSDT", "side": "SELL", "quantity": "0.5", "leverage": 10}
    far = ((await system.bid("BTCUSDT")) * Decimal("0.98")).quantize(Decimal("0.1"))
    legs = [
        {"algo": "twap", "totalSize": "0.02", "lots": 4, "duration": 2, **buys},
        eth,
        {"algo": "limit", "quantity": "0.01", "price": str(far), **buys},
    ]
    refused = await system.ask("pms.basket", subAccountId="erin", legs=[*legs, {**eth, "quantity": "9000"}])
    assert (refused["success"], refused["code"], refused["field"]) == (False, "MARGIN", "legs[3].quantity")
    assert await system.rows("select id from pms.algos where sub_account_id = 'erin'") == []
    started = await system.ask("pms.basket", subAccountId="erin", legs=legs, onLegFailure="unwind")
    assert started["success"], started
    basket, seen = started["details"]["algoId"], dict[str, Any]()

    async def two_are_filled() -> bool:
        seen.update(await shown(system, "basket", basket))
        told = seen.get("figures", {"legs": ()})["legs"]
        return [leg["state"] for leg in told] == ["done", "done", "running"]

    await until(two_are_filled, "two legs to be filled", seconds=30, tell=lambda: str(seen))
    await system.restart("streamer")
    await until(system.admitting, "admission", seconds=30)
    # The limit order is too far away: its time is over, it has failed, and all else is taken back
    amended = await system.ask("pms.basket", algoId=basket, action="amend", duration=1)
    assert amended["success"], amended
    seen = await stands(system, "basket", basket, "failed", seconds=40)
    assert (seen["reason"], seen["liveOrders"]) == (
        "legs[2]: the basket's time is over, and 0.01 is not filled; unwound",
        0,
    )
    legs_told = [(leg["filled"], leg["unwound"]) for leg in seen["figures"]["legs"]]
    assert legs_told == [(Decimal("0.02"), Decimal("0.02")), (Decimal("0.5"), Decimal("0.5")), (0, 0)]
    rows = await ours(system, basket)
    assert {row.origin for row in rows} == {"BASKET"}
    assert sum(row.filled_qty for row in rows if row.reduce_only) == Decimal("0.52")
    held = await system.rows("select quantity from pms.positions where sub_account_id = 'erin'")
    assert {row.quantity for row in held} == {0}
    assert "legs[1] SELL 0.5 of 0.5 ETHUSDT" in await system.cli("algo", "show", basket[:13])
    assert (await system.audit())["agrees"]
