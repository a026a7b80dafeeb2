"""The judge on accounts that are closed at market: one without a fault is acquitted, each fault is named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import Any

import pytest
from crash_books import HOUSE, INSURANCE, ZERO, Held, cents
from scribe import A, Scribe
from spoiling import told


def market() -> Scribe:
    scribe = Scribe().begin(fund="10")
    scribe.write("limits", limits=[{"scope": "*", "name": "liquidation.mode", "value": "market"}])
    scribe.account("anna", "50", AUSDT=("10", "100"))
    scribe.blind = True
    scribe.tick(A, "100")
    return scribe


@dataclass(slots=True)
class Closing:
    """An engine that closes anna at market, written entry by entry."""

    scribe: Scribe
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)

    def order(self, coid: str, quantity: str, **fields: Any) -> dict[str, Any]:
        row = {
            "client_order_id": coid,
            "sub_account_id": "anna",
            "symbol": A,
            "side": "SELL",
            "type": "MARKET",
            "reduce_only": True,
            "origin": "LIQUIDATION",
            "quantity": quantity,
            "filled_qty": "0",
            "state": "placing",
            "cancel_wanted": False,
            **fields,
        }
        self.orders[coid] = row
        return row

    def begin(self, level: int = 4, *orders: dict[str, Any], **changed: Any) -> None:
        """The entry of the tick."""
        scribe = self.scribe
        standing, top = scribe.books.of("anna"), scribe.top(A)
        assert top is not None
        assert top.bid is not None
        assert top.ask is not None
        weight = scribe.rules.weigh(standing.balance, standing.held, {A: (top.bid, top.ask)})
        row = {
            "sub_account_id": "anna",
            "action": "CLOSE",
            "tier": level,
            "symbol": A,
            "quantity": str(standing.held[A].quantity),
            "price": None,
            "realized": None,
            "ratio": None if weight.ratio is None else str(round(weight.ratio, 8)),
            "equity": str(cents(weight.equity)),
            "maintenance": str(cents(weight.maintenance)),
            "tops": json.dumps({A: {"bid": str(top.bid), "ask": str(top.ask), "at": top.at}}),
            "at": scribe.now,
            **changed,
        }
        mark = {"anna": level}
        scribe.write("liquidation", tiers=mark, closing=mark, liquidations=[row], orders=list(orders))

    def go_on(self, *orders: dict[str, Any]) -> None:
        self.scribe.now += 100
        self.scribe.write("closing", orders=list(orders))

    def trade(
        self, coid: str, quantity: str, price: str, *, over: bool = False, cover: str | None = None
    ) -> None:
        """A trade of an order; `over`: it ended the closing; `cover`: what was paid, else what is owed."""
        scribe, row = self.scribe, self.orders[coid]
        scribe.now += 100
        filled = D(row["filled_qty"]) + D(quantity)
        state = "filled" if filled == D(row["quantity"]) else "partially_filled"
        row = self.orders[coid] = {**row, "filled_qty": str(filled), "state": state}
        standing = scribe.books.of("anna")
        held = standing.held.get(A, Held())
        share = held.share(D(quantity)) if held.quantity else ZERO
        gain = D(quantity) * D(price) - share
        left = Held(held.quantity - D(quantity), held.cost - share)
        ledger = [("anna", gain, "REALIZED_PNL"), (HOUSE, D(1) - gain, "NETTING")]
        owed = max(ZERO, -standing.balance - gain) if not left.quantity else ZERO
        owed = owed if cover is None else D(cover)
        if owed:
            fund = min(owed, scribe.books.balances[INSURANCE])
            ledger += [("anna", owed, "INSURANCE"), (INSURANCE, -fund, "INSURANCE")]
            ledger += [(HOUSE, fund - owed, "INSURANCE")]
        fill = {
            "sub_account_id": "anna",
            "symbol": A,
            "side": "SELL",
            "quantity": quantity,
            "venue_realized_pnl": "1",
            "commission": "0",
            "commission_asset": "USDT",
        }
        ended = {"sub_account_id": "anna", "action": "CLOSED", "tier": 0, "tops": "{}", "at": scribe.now}
        scribe.write(
            "fill",
            positions={("anna", A): left},
            ledger=ledger,
            orders=[row],
            fills=[fill],
            **({"tiers": {"anna": 0}, "closing": {"anna": 0}} if over else {}),
            liquidations=[ended] if over else [],
        )


def fallen() -> tuple[Scribe, Closing]:
    scribe = market()
    scribe.tick(A, "93")
    return scribe, Closing(scribe)


def quiet(scribe: Scribe) -> None:
    """Long after: the market goes on."""
    scribe.now += 10_000
    for price in ("92.9", "92.8", "92.7"):
        scribe.tick(A, price)


def test_a_closing_without_a_fault_is_acquitted_and_the_fund_bears_what_is_owed() -> None:
    scribe, closing = fallen()
    closing.begin(4, closing.order("first", "6"), closing.order("second", "4"))
    closing.trade("first", "6", "92")
    closing.trade("second", "1", "92")
    scribe.tick(A, "99")
    closing.trade("second", "3", "92", over=True)
    quiet(scribe)
    verdict = scribe.judged()
    assert told(verdict) == ""
    assert verdict.liquidated == {"anna"}
    assert verdict.lateness == {0: 1}
    assert (verdict.losses.owed, verdict.losses.insured, verdict.losses.housed) == (D(30), D(10), D(20))


def test_a_book_transfer_where_the_group_wants_the_market() -> None:
    scribe = market()
    scribe.blind = False
    scribe.tick(A, "93")
    assert "mode" in scribe.judged().rules


def test_a_closing_where_the_group_wants_the_book_transfer() -> None:
    scribe, closing = fallen()
    scribe.write("limits", limits=[{"scope": "anna", "name": "liquidation.mode", "value": "transfer"}])
    closing.begin(4, closing.order("first", "10"))
    closing.trade("first", "10", "92", over=True)
    assert scribe.judged().rules == {"mode"}


def test_orders_for_more_than_is_held() -> None:
    scribe, closing = fallen()
    closing.begin(4, closing.order("first", "10"))
    closing.go_on(closing.order("second", "0.01"))
    closing.trade("first", "10", "92")
    closing.trade("second", "0.01", "92")
    assert "overshoot" in scribe.judged().rules


def test_what_is_left_may_be_ordered_once_an_order_is_over() -> None:
    scribe, closing = fallen()
    closing.begin(4, closing.order("first", "10"))
    closing.trade("first", "4", "92")
    closing.go_on({**closing.orders["first"], "state": "expired"}, closing.order("second", "6"))
    closing.trade("second", "6", "92", over=True)
    quiet(scribe)
    assert told(scribe.judged()) == ""


@pytest.mark.parametrize("fields", [{"side": "BUY"}, {"type": "LIMIT"}, {"reduce_only": False}])
def test_an_order_that_does_not_close(fields: dict[str, Any]) -> None:
    scribe, closing = fallen()
    closing.begin(4, closing.order("first", "10", **fields))
    closing.trade("first", "10", "92", over=True)
    assert "order" in scribe.judged().rules


def test_late_and_never_begun() -> None:
    scribe, closing = fallen()
    for price in ("93.1", "93.2"):
        scribe.tick(A, price)
    closing.begin(4, closing.order("first", "10"))
    closing.trade("first", "10", "92", over=True)
    assert scribe.judged().rules == {"late"}
    scribe, _ = fallen()
    quiet(scribe)
    assert scribe.judged().rules == {"missing"}


def test_a_beginning_that_names_too_little_or_tells_a_price() -> None:
    for changed in ({"quantity": "9"}, {"price": "93"}):
        scribe, closing = fallen()
        closing.begin(4, closing.order("first", "10"), **changed)
        closing.trade("first", "10", "92", over=True)
        assert scribe.judged().rules == {"begun"}


def test_what_is_owed_is_paid_with_the_last_trade_and_no_sooner() -> None:
    for covers in (("5", None), (None, "29"), (None, "0")):
        scribe, closing = fallen()
        closing.begin(4, closing.order("first", "6"), closing.order("second", "4"))
        closing.trade("first", "6", "92", cover=covers[0])
        closing.trade("second", "4", "92", over=True, cover=covers[1])
        assert "insurance" in scribe.judged().rules, covers


def test_never_told_to_be_over() -> None:
    scribe, closing = fallen()
    closing.begin(4, closing.order("first", "10"))
    closing.trade("first", "10", "92")
    quiet(scribe)
    assert scribe.judged().rules == {"unfinished"}


def test_called_over_with_something_held_or_an_order_alive() -> None:
    scribe, closing = fallen()
    closing.begin(4, closing.order("first", "10"))
    closing.trade("first", "9", "92", over=True, cover="0")
    assert "ended" in scribe.judged().rules
    scribe, closing = fallen()
    resting = closing.order("resting", "1", side="BUY", type="LIMIT", origin="MANUAL", cancel_wanted=True)
    closing.begin(4, closing.order("first", "10"), resting)
    closing.trade("first", "10", "92", over=True)
    assert scribe.judged().rules == {"ended"}


def test_a_deleveraging_names_the_least_part_and_ends_at_its_target() -> None:
    for quantity, rules in (("2.21", set()), ("2.22", {"begun"}), ("2.20", {"begun"})):
        scribe = market()
        scribe.tick(A, "96.00")
        closing = Closing(scribe)
        closing.begin(3, closing.order("first", quantity), quantity=quantity)
        closing.trade("first", quantity, "95.99")
        scribe.now += 100
        # At its target, weighed at the price of the tick
        tops = json.dumps({A: {"bid": "95.99", "ask": "96.01", "at": scribe.ticks[-1].at}})
        ended = {"sub_account_id": "anna", "action": "CLOSED", "tier": 1, "tops": tops, "at": scribe.now}
        level = {"anna": 1 if quantity != "2.20" else 2}
        scribe.write("closing", tiers=level, closing={"anna": 0}, liquidations=[ended])
        found = scribe.judged().rules
        assert found == (rules | {"ended"} if quantity == "2.20" else rules), quantity


def test_a_deleveraging_called_over_before_its_target() -> None:
    scribe = market()
    scribe.tick(A, "96.00")
    closing = Closing(scribe)
    closing.begin(3, closing.order("first", "2.21"), quantity="2.21")
    closing.trade("first", "1", "95.99")
    scribe.now += 100
    tops = json.dumps({A: {"bid": "95.99", "ask": "96.01", "at": scribe.ticks[-1].at}})
    ended = {"sub_account_id": "anna", "action": "CLOSED", "tier": 3, "tops": tops, "at": scribe.now}
    over = {**closing.orders["first"], "state": "expired"}
    scribe.write("closing", tiers={"anna": 3}, closing={"anna": 0}, liquidations=[ended], orders=[over])
    assert "ended" in scribe.judged().rules
