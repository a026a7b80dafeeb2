"""Writes a market's tape and the journal that an engine without a fault would have written beside it.

A test then spoils a line of the one or the other, and the judge has to see it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal as D
from typing import Any

from crash_books import HOUSE, INSURANCE, ZERO, Books, Held, cents, fold
from crash_judge import Judge
from crash_rules import ACTIONS, Bracket, Rules, Weight, taking_price
from crash_tape import Mark, Tape, Tick
from crash_verdict import Verdict

A, B = "AUSDT", "BUSDT"
LADDER = [Bracket(D(50_000), D("0.01"), ZERO), Bracket(D(10_000_000), D("0.02"), D(500))]
RULES = Rules(brackets={A: LADDER, B: LADDER}, steps={A: D("0.01"), B: D(1)})
BEAT_MS = 100
Entry = dict[str, Any]


@dataclass(slots=True)
class Scribe:
    """The world of a test: call `tick`, and everybody whom it concerns is dealt with, unless `blind`."""

    rules: Rules = RULES
    now: int = 1_000_000
    ticks: list[Tick] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    books: Books = field(default_factory=Books)
    spoil: Callable[[Entry], Entry | None] = lambda entry: entry
    #: what the next entries become on their way into the journal
    blind: bool = False

    def begin(self, fund: str = "1000", house: str = "100000") -> Scribe:
        """Open the books."""
        self.write("opening", ledger=[(HOUSE, D(house), "OPENING"), (INSURANCE, D(fund), "TRANSFER")])
        return self

    def account(self, name: str, balance: str, **held: tuple[str, str]) -> None:
        """A sub-account with its positions: quantity and entry price by symbol."""
        self.write("transfer", ledger=[(name, D(balance), "TRANSFER"), (HOUSE, -D(balance), "TRANSFER")])
        for symbol, (quantity, entry) in held.items():
            self.write("import", positions={(name, symbol): Held(D(quantity), D(quantity) * D(entry))})
        self.now += 10_000

    def tick(self, symbol: str, mid: str, *, spread: str = "0.02") -> None:
        """The next diff of a symbol, around a price; the engine looks at it at once."""
        self.now += BEAT_MS
        half = D(spread) / 2
        self.ticks.append(Tick(symbol, self.now, D(mid) - half, D(mid) + half))
        if not self.blind:
            for account in self.accounts(symbol):
                self.deal(account)

    def mark(self, symbol: str, price: str) -> None:
        """The next word of the mark price."""
        self.marks.append(Mark(symbol, self.now, D(price)))

    def accounts(self, symbol: str) -> list[str]:
        """Who holds a symbol, the house aside."""
        held = self.books.held
        return [name for name in held if name not in (HOUSE, INSURANCE) and symbol in held[name]]

    def top(self, symbol: str) -> Tick | None:
        """The symbol's last tick."""
        return next((tick for tick in reversed(self.ticks) if tick.symbol == symbol), None)

    def deal(self, account: str) -> None:
        """Do what the rules want of an account now."""
        standing = self.books.of(account)
        tops = {symbol: self.top(symbol) for symbol in standing.held}
        prices = {s: (t.bid, t.ask) for s, t in tops.items() if t is not None and t.bid and t.ask}
        if not standing.held or len(prices) < len(standing.held):
            return
        weight = self.rules.weigh(standing.balance, standing.held, prices)
        level = self.rules.level(standing.tier, weight)
        if level == standing.tier:
            return
        if level < standing.tier:
            self.act(account, "REARM", {}, weight, tier=level)
        elif level == 4:
            self.act(account, "TAKEOVER", {s: p.quantity for s, p in standing.held.items()}, weight, tier=4)
        elif level == 3:
            parts = self.parts(account, prices)
            after = self.weight_without(account, parts, prices)
            self.act(account, "DELEVERAGE", parts, weight, tier=self.rules.level(3, after))
        else:
            self.act(account, ACTIONS[level], {}, weight, tier=level)

    def parts(self, account: str, prices: dict[str, Any]) -> dict[str, D]:
        """What must go: whole positions by loss, of the last the fewest steps."""
        standing, parts = self.books.of(account), {}
        for symbol in self.rules.by_loss(standing, prices):
            whole, step = standing.held[symbol].quantity, self.rules.steps[symbol]
            step = step if whole > 0 else -step
            few, many = 0, int(whole / step)
            while few < many:
                middle = (few + many) // 2
                parts[symbol] = step * middle
                after = self.weight_without(account, parts, prices)
                if after.crossed(self.rules.back_to):
                    few = middle + 1
                else:
                    many = middle
            parts[symbol] = step * few
            if not self.weight_without(account, parts, prices).crossed(self.rules.back_to):
                break
        return parts

    def weight_without(self, account: str, parts: dict[str, D], prices: dict[str, Any]) -> Weight:
        """The account as it would be without these parts."""
        left = self.books.of(account)
        for symbol, part in parts.items():
            held = left.held[symbol]
            share = held.share(part)
            left.balance += part * taking_price(held.quantity, prices[symbol]) - share
            left.held[symbol] = Held(held.quantity - part, held.cost - share)
        held_still = {s: p for s, p in left.held.items() if p.quantity}
        return self.rules.weigh(left.balance, held_still, prices)

    def act(self, account: str, action: str, parts: dict[str, D], weight: Weight, *, tier: int) -> None:
        """Journal a step as it should be."""
        standing = self.books.of(account)
        tops = {symbol: self.top(symbol) for symbol in standing.held}
        told = {s: {"bid": str(t.bid), "ask": str(t.ask), "at": t.at} for s, t in tops.items() if t}
        rows, positions, ledger = [], {}, []
        common = {
            "sub_account_id": account,
            "action": action,
            "tier": tier,
            "ratio": None if weight.ratio is None else str(round(weight.ratio, 8)),
            "equity": str(cents(weight.equity)),
            "maintenance": str(cents(weight.maintenance)),
            "tops": json.dumps(told),
            "at": self.now,
        }
        realized = ZERO
        for symbol, part in (parts or {None: None}).items():
            row = {**common, "symbol": symbol, "quantity": None, "price": None, "realized": None}
            if symbol is not None and part is not None:
                held, top = standing.held[symbol], tops[symbol]
                assert top is not None
                assert top.bid is not None
                assert top.ask is not None
                price = taking_price(held.quantity, (top.bid, top.ask))
                share = held.share(part)
                gain = part * price - share
                row |= {"quantity": str(part), "price": str(price), "realized": str(gain)}
                positions[account, symbol] = Held(held.quantity - part, held.cost - share)
                house = self.books.held[HOUSE].get(symbol, Held())
                positions[HOUSE, symbol] = Held(house.quantity + part, house.cost + part * price)
                ledger += [(account, gain, "LIQUIDATION"), (HOUSE, -gain, "NETTING")]
                realized += gain
            rows.append(row)
        gone = len(parts) == len(standing.held) and all(
            part == standing.held[symbol].quantity for symbol, part in parts.items()
        )
        owed = max(ZERO, -standing.balance - realized) if gone else ZERO
        if owed:
            fund = min(owed, max(ZERO, self.books.balances.get(INSURANCE, ZERO)))
            ledger += [(account, owed, "INSURANCE"), (INSURANCE, -fund, "INSURANCE")]
            if owed > fund:
                ledger.append((HOUSE, fund - owed, "INSURANCE"))
        orders = [
            {**order, "cancel_wanted": True}
            for order in self.books.orders.values()
            if order["sub_account_id"] == account and tier >= 2
        ]
        self.write(
            "liquidation",
            positions=positions,
            ledger=ledger,
            tiers={account: tier},
            liquidations=rows,
            orders=orders,
        )

    def write(
        self,
        kind: str,
        *,
        positions: dict[tuple[str, str], Held] | None = None,
        ledger: list[tuple[str, D, str]] | None = None,
        tiers: dict[str, int] | None = None,
        closing: dict[str, int] | None = None,
        **tables: list[dict[str, Any]],
    ) -> None:
        """Append an entry with whole rows of what it leaves."""
        balances: dict[str, D] = {}
        for account, amount, _ in ledger or ():
            balances[account] = balances.get(account, self.books.balances.get(account, ZERO)) + amount
        touched = dict.fromkeys([*balances, *(tiers or {}), *(closing or {})])
        seq = self.entries[-1]["seq"] + 1 if self.entries else 1
        entry: Entry = {
            "seq": seq,
            "prev": seq - 1,
            "at": self.now,
            "kind": kind,
            "rows": {
                "sub_accounts": [
                    {
                        "id": account,
                        "balance": str(balances.get(account, self.books.balances.get(account, ZERO))),
                        "tier": (tiers or {}).get(account, self.books.tiers.get(account, 0)),
                        "closing": (closing or {}).get(account, self.books.closing.get(account, 0)),
                    }
                    for account in touched
                ],
                "positions": [
                    {"sub_account_id": a, "symbol": s, "quantity": str(p.quantity), "cost": str(p.cost)}
                    for (a, s), p in (positions or {}).items()
                ],
                "ledger": [
                    {"sub_account_id": account, "amount": str(amount), "reason": why, "asset": "USDT"}
                    for account, amount, why in ledger or ()
                ],
                **tables,
            },
        }
        spoilt = self.spoil(entry)
        if spoilt is not None:
            self.entries.append(spoilt)
            self.books.take(spoilt["rows"])

    def judged(self, **how: Any) -> Verdict:
        """What the judge says to it."""
        return Judge(Tape(self.ticks, self.marks), self.rules, **how).judge(fold(self.entries))
