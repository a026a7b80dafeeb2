"""Halts in force, and what they stop.

The send right is where a halt bites, for orders that are admitted already, even while the streamer
hangs; admission refuses early what would be stopped there. Cancels are never stopped, and neither are the
house's unwinds and the orders by which an account is liquidated at market: they only take risk away.
"""

from __future__ import annotations

from pms.contract.codes import Code, Refusal
from pms.contract.events import HaltView
from pms.contract.journal import HaltRow
from pms.contract.names import EVERYTHING, HOUSE
from pms.domain.desk import Desk
from pms.domain.orders import Order
from pms.domain.unwinding import ORIGIN

SHOWN = 50


def halted(desk: Desk, account: str, *, reduce_only: bool) -> HaltRow | None:
    """The halt that stops an account's orders at the send right, or None."""
    if account == HOUSE:
        return None
    for scope in (EVERYTHING, account):
        halt = desk.halts.get(scope)
        if halt is not None and not (halt.mode == "REDUCE_ONLY" and reduce_only):
            return halt
    return None


def halted_order(desk: Desk, order: Order) -> HaltRow | None:
    """The halt that stops an order at the send right, or None: those of a liquidation are never stopped."""
    spec = order.spec
    return None if spec.origin == ORIGIN else halted(desk, spec.sub_account_id, reduce_only=spec.reduce_only)


def refuse_halted(desk: Desk, account: str, *, reduce_only: bool) -> None:
    """Raise HALTED where the send right would be refused."""
    halt = halted(desk, account, reduce_only=reduce_only)
    if halt is None:
        return
    what = "trading" if halt.scope == EVERYTHING else f"{account}'s trading"
    but = "; an order that says reduceOnly may go" if halt.mode == "REDUCE_ONLY" else ""
    raise Refusal(
        Code.HALTED,
        f"{what} is halted by {halt.actor}: {halt.reason}{but}",
        field="reduceOnly" if halt.mode == "REDUCE_ONLY" else None,
        limit=halt.mode,
    )


def views(desk: Desk) -> list[HaltView]:
    """The halts in force, that of everything first."""
    shown = sorted(desk.halts.values(), key=lambda halt: (halt.scope != EVERYTHING, halt.since))[:SHOWN]
    return [
        HaltView.model_construct(
            sub_account_id=None if halt.scope == EVERYTHING else halt.scope,
            mode="REDUCE_ONLY" if halt.mode == "REDUCE_ONLY" else "HALTED",
            reason=halt.reason,
            actor=halt.actor,
            since=halt.since,
        )
        for halt in shown
    ]
