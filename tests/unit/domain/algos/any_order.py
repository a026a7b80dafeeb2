"""Whatever can happen to an algo's orders, in any order: steps for property tests, and a calm end."""

from __future__ import annotations

from hypothesis import strategies as st
from market_world import D, MarketWorld

OPS = (
    *(
        "ack",
        "lose",
        "refuse",
        "cross",
        "void",
        "absent",
        "trade",
        "silent_trade",
        "counted",
        "told",
    ),
    *("cancelled", "expired", "amended", "amend_refused", "amend_crosses", "by_hand"),
    *("tick", "jump", "unsync", "time", "restart", "closed", "nothing"),
)
"""What the exchange, the market, the clock and an operator can do."""

steps = st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 40)), min_size=20, max_size=60)
"""Never few: left alone, most lists that are drawn would end before an order has traded."""


def step(world: MarketWorld, algo_id: str, op: str, number: int, *, wide: bool = False) -> None:
    """One thing happens, if it can: to one of the last orders, or to any that lives if `wide`."""
    match op:
        case "tick":
            world.move(number - 20)
        case "jump":
            world.move((number - 20) * 500)
        case "unsync":
            world.lose_sync()
        case "time":
            world.pass_time(number * 100)
        case "restart":
            world.restart()
        case "closed":
            world.conduct(algo_id, closed="for a while")
        case "nothing":
            pass
        case _:
            _to_an_order(world, algo_id, op, number, wide=wide)


def _to_an_order(world: MarketWorld, algo_id: str, op: str, number: int, *, wide: bool) -> None:
    orders = list(world.of(algo_id))
    if not orders:
        return
    if wide:
        over = [order for order in orders if order.over][-2:]
        orders = [*over, *(order for order in orders if not order.over)]
    order = orders[-1 - number % (len(orders) if wide else min(len(orders), 3))]
    coid = order.row.client_order_id
    fresh, resting = not order.sent and not order.over, order.sent and not order.over
    quantity = D(1 + number % 7) / 1000
    match op:
        case "ack" if fresh:
            world.ack(coid)
        case "lose" if fresh:
            world.lose(coid)
        case "refuse" if fresh:
            world.refuse(coid, "-2019: Margin is insufficient.")
        case "cross" if fresh and order.row.time_in_force == "GTX":
            world.refuse(coid, "-5022: Post Only order will be rejected.")
        case "void" if fresh:
            world.void(coid)
        case "absent" if fresh and world.desk.orders[coid].doubt:
            world.absent(coid)
        case "trade" if resting:
            world.trade(coid, quantity)
        case "silent_trade" if resting:
            world.trade_silently(coid, quantity)
        case "counted" if resting:
            world.count(coid)
        case "told":
            world.tell(coid)
        case "cancelled" if resting and order.row.cancel_wanted:
            world.end(coid, "CANCELED")
        case "expired" if resting:
            world.end(coid, "EXPIRED")
        case "amended" if resting and order.wished:
            world.amend(coid)
        case "amend_refused" if order.wished:
            world.refuse_amend(coid)
        case "amend_crosses" if resting and order.wished and order.row.time_in_force == "GTX":
            world.move_ends_it(coid)
        case "by_hand" if resting:
            world.desk.orders[coid].cancel_wanted = True
            world.end(coid, "CANCELED")
        case _:
            pass


def take_all(world: MarketWorld, algo_id: str) -> None:
    """The exchange takes what was sent, and amends and cancels what it was asked to; nothing trades."""
    for order in world.of(algo_id):
        coid = order.row.client_order_id
        if order.over:
            continue
        if not order.sent:
            world.ack(coid)
        elif world.desk.orders[coid].cancel_wanted:
            world.end(coid, "CANCELED")
        elif order.wished is not None:
            world.amend(coid)


def come_to_rest(world: MarketWorld, algo_id: str) -> None:
    """The algo is asked once; what lives trades in full, what is unwanted is cancelled."""
    world.conduct(algo_id)
    for order in world.of(algo_id):
        coid = order.row.client_order_id
        world.tell(coid)
        if order.over:
            continue
        if not order.sent:
            world.ack(coid)
        elif order.wished is not None:
            world.amend(coid)
        elif world.desk.orders[coid].cancel_wanted:
            world.end(coid, "CANCELED")
        else:
            world.trade(coid, order.total)


def calm(world: MarketWorld, algo_id: str, *, rounds: int = 80) -> None:
    """All comes to rest, while a minute passes after the other."""
    world.move(0)
    for _ in range(rounds):
        come_to_rest(world, algo_id)
        world.pass_time(61_000)
