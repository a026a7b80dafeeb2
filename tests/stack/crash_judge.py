"""The judge of a crash: every account against the rules, on every tick that the market showed.

It has the tape and the journal, and recomputes the rest: at each tick each account is weighed in full.
So what had to fire is known before what did is looked at. A finding names the rule that was broken:

    late, missing     a line was crossed for sure, and dealt with too many ticks later, or never
    early, doubled    something was done below its line, or done again without having been armed again
    tier              not the worst line that was crossed, or the account was left in a wrong tier
    tops, blocked     decided on prices that were not the market's then, or that the mark forbade
    numbers           equity, maintenance or ratio in the row are not what the prices give
    price, order, amount, money, insurance    see crash_money
    mode, begun, overshoot, ended, unfinished, debt    see crash_closing
    orders            live orders stayed wanted behind a tier that cancels them
    chain, ledger     an entry is missing, or a balance is not the sum of its lines
    unexplained       a position or a tier changed, and no row says why

What cannot be known from outside is given to the engine: marks near a tick (crash_tape), the moments
around a change that no tick made, and the time that it was not there.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge

from crash_books import HOUSE, INSURANCE, ZERO, Standing, Step, cents
from crash_closing import begun, closing_orders, conserved, covered, ended, level_of, roomy
from crash_money import Row, moved, paid
from crash_rules import ACTIONS, LEVELS, Prices, Rules, Weight
from crash_tape import Permit, Tape, Tick
from crash_verdict import Verdict

LATE_TICKS = 1
"""None later than one tick: what is done on the tick after the one that crossed the line is in time."""

SLACK_MS = 1_500
"""Around a change that no tick made it is not known which ticks the engine weighed it on."""

HANDED = frozenset({"opening", "import", "adjusted", "position", "reassigned"})
"""Entries in which an operator moves positions."""

CLOSED_MS = 5_000
"""What was begun to be closed this long before the tape ends must be closed: the market has orders again."""

FRESH_BOOK_MS = 5_000
"""How old the prices may be that a book built from a snapshot begins with."""


@dataclass(slots=True)
class Judge:
    """One crash before the judge. `away` are the times, ms, in which there was no engine to see a tick."""

    tape: Tape
    rules: Rules
    away: Sequence[tuple[int, int]] = ()
    horizon: int | None = None
    #: the last place up to which the engine is known to have come; None is the tape's end
    verdict: Verdict = field(default_factory=Verdict)
    _known: set[str] = field(default_factory=set)
    #: closing orders that were seen

    def judge(self, steps: Iterable[Step], *, since: int = 0) -> Verdict:
        """Weigh all accounts on all ticks, and each entry's money; up to the seq `since` it only reads."""
        by_account: dict[str, list[Step]] = {}
        last = None
        for step in steps:
            if last is not None and step.prev != last:
                self.verdict.says("", "chain", f"entry {step.seq} follows {step.prev}, the last was {last}")
            last = step.seq
            for account in step.unsound:
                self.verdict.says(account, "ledger", f"entry {step.seq}: its balance is not its lines' sum")
            for account in step.after:
                if account not in (HOUSE, INSURANCE):
                    by_account.setdefault(account, []).append(step)
        for account, each in by_account.items():
            self._account(account, each, since)
        self.verdict.kept = set(by_account) - self.verdict.liquidated
        return self.verdict

    # --- one account through time ---

    def _account(self, account: str, steps: list[Step], since: int) -> None:
        standing: Standing | None = None
        cursor = -1
        for step in steps:
            if step.seq <= since:
                standing = step.after[account]
                continue
            told = [row for row in step.rows.get("liquidations", ()) if row["sub_account_id"] == account]
            rows = [row for row in told if row["action"] != "CLOSED"]
            if rows:
                tops = self._tops(account, rows, step.before[account])
                place = self._decided(account, rows, tops)
                if place is not None:
                    if standing is not None:
                        self._scan(account, standing, cursor, place, done=True)
                    cursor = max(cursor, place)
                self._step(account, step, rows, tops)
            elif step.before[account] != step.after[account]:
                if standing is not None:
                    self._scan(account, standing, cursor, self._place_at(step.at - SLACK_MS), done=False)
                self._quiet(account, step)
                cursor = max(cursor, self._place_at(step.at + SLACK_MS))
            self._closing(account, step, told)
            standing = step.after[account]
        if standing is not None:
            last = len(self.tape.ticks) - 1 if self.horizon is None else self.horizon
            self._scan(account, standing, cursor, last, done=False)
            begins = [step.at for step in steps if not step.before[account].closing]
            if standing.closing and self.tape.ticks[-1].at - begins[-1] > CLOSED_MS:
                self.verdict.says(account, "unfinished", f"it holds {', '.join(standing.held)} still")
            if not standing.held and standing.balance < 0:
                self.verdict.says(account, "debt", f"it is left with {standing.balance}")

    def _closing(self, account: str, step: Step, told: Sequence[Row]) -> None:
        """What only accounts do that are closed at market: orders of their own, and an end."""
        mine = closing_orders(step, account)
        new = [row for row in mine if row["client_order_id"] not in self._known]
        self._known.update(row["client_order_id"] for row in new)
        for rule, text in roomy(step, account, new):
            self._say(account, rule, step, text)
        for row in told:
            if row["action"] == "CLOSED":
                self.verdict.actions["CLOSED"] += 1
                for rule, text in ended(self.rules, step, account, row):
                    self._say(account, rule, step, text)
                if not step.after[account].held:
                    self.verdict.liquidated.add(account)

    def _scan(self, account: str, standing: Standing, begin: int, end: int, *, done: bool) -> None:
        """Look for what had to be done behind `begin` and up to `end`, where something was done or not."""
        if not standing.held:
            return
        tape, rules = self.tape, self.rules
        now: dict[str, Tick | None] = {symbol: tape.standing(symbol, begin) for symbol in standing.held}
        due: tuple[Tick, Weight] | None = None
        weight: Weight | None = None
        behind = 0
        for place in self._places(standing.held, begin, end):
            tick = tape.ticks[place]
            if due is not None:
                behind += not self._away(tick.at)
                continue
            before, now[tick.symbol] = now[tick.symbol], tick
            if weight is None or before is None or (before.bid, before.ask) != (tick.bid, tick.ask):
                weight = self._weigh(standing, now)
            # Weighed alike is looked at again all the same: a mark may allow now what it forbade
            if weight is not None and rules.level(standing.tier, weight, standing.closing) != standing.tier:
                due = (tick, weight) if self._sure(now, tick.at) else None
        if due is None:
            self.verdict.doubtful += done
            return
        tick, weight = due
        wanted = rules.level(standing.tier, weight, standing.closing)
        word = ACTIONS[wanted] if wanted > standing.tier else "REARM"
        told = f"{word} was due on {tick.symbol}'s tick {tick.at}, tier {standing.tier}, {weight}"
        if done:
            self.verdict.lateness[behind] += 1
            if behind > LATE_TICKS:
                self.verdict.says(account, "late", f"{told}; it came {behind} ticks later")
        elif behind > LATE_TICKS:
            self.verdict.says(account, "missing", f"{told}; {behind} ticks later it was still not done")

    def _weigh(self, standing: Standing, now: dict[str, Tick | None]) -> Weight | None:
        prices: dict[str, tuple[Decimal, Decimal]] = {}
        for symbol, tick in now.items():
            if tick is None or tick.bid is None or tick.ask is None:
                return None
            prices[symbol] = tick.bid, tick.ask
        self.verdict.weighed += 1
        return self.rules.weigh(standing.balance, standing.held, prices)

    def _sure(self, now: dict[str, Tick | None], at: int) -> bool:
        """Whether the engine was there at this tick's time and could act on every price."""
        if self._away(at):
            return False
        return all(tick is not None and self._permit(tick, at) is Permit.YES for tick in now.values())

    def _permit(self, tick: Tick, at: int) -> Permit:
        return self.tape.permit(Tick(tick.symbol, max(at, tick.at), tick.bid, tick.ask))

    def _away(self, at: int) -> bool:
        return any(begin <= at <= end for begin, end in self.away)

    def _places(self, symbols: Iterable[str], begin: int, end: int) -> Iterator[int]:
        """The places of these symbols' ticks behind `begin`, up to `end`, in order."""
        parts = []
        for symbol in symbols:
            known = self.tape.places.get(symbol, [])
            parts.append(known[bisect_right(known, begin) : bisect_right(known, end)])
        return merge(*parts)

    def _place_at(self, at: int) -> int:
        """The last place whose tick is not later than a time."""
        return bisect_right(self.tape.ticks, at, key=lambda tick: tick.at) - 1

    # --- what was done ---

    def _tops(self, account: str, rows: Sequence[Row], before: Standing) -> dict[str, Tick]:
        """The prices that a decision says it was made on."""
        if len({row["tops"] for row in rows}) > 1:
            self.verdict.says(account, "tops", "rows of one entry name different prices")
        told = json.loads(rows[0]["tops"], parse_float=Decimal)
        tops = {
            symbol: Tick(symbol, int(top["at"]), Decimal(str(top["bid"])), Decimal(str(top["ask"])))
            for symbol, top in told.items()
        }
        if absent := before.held.keys() - tops.keys():
            self.verdict.says(account, "tops", f"no price of {', '.join(sorted(absent))} is told")
        return tops

    def _decided(self, account: str, rows: Sequence[Row], tops: dict[str, Tick]) -> int | None:
        """The place of the tick that decided; tells where the prices were never all the market's at once."""
        places: dict[str, int] = {}
        exact = set()
        for symbol, top in tops.items():
            assert top.bid is not None
            assert top.ask is not None
            place = self.tape.place_of(symbol, top.at)
            if place is not None:
                exact.add(symbol)
            else:
                place = self.tape.shown_before(symbol, top.bid, top.ask, at=top.at, within_ms=FRESH_BOOK_MS)
            shown = None if place is None else self.tape.ticks[place]
            if place is None or shown is None or (shown.bid, shown.ask) != (top.bid, top.ask):
                was = "nothing" if shown is None else f"{shown.bid}/{shown.ask}"
                text = f"{symbol} was {top.bid}/{top.ask} at {top.at}, says {rows[0]['action']}; it was {was}"
                self.verdict.says(account, "tops", text)
                continue
            places[symbol] = place
        if not places:
            return None
        decided = max(places.values())
        for symbol in exact & places.keys():
            standing = self.tape.standing(symbol, decided)
            if standing is not None and standing.at != tops[symbol].at:
                text = f"{symbol}'s tick {tops[symbol].at} was old when it decided: {standing.at} had come"
                self.verdict.says(account, "tops", text)
        at = self.tape.ticks[decided].at
        for symbol, place in places.items():
            if self._permit(self.tape.ticks[place], at) is Permit.NO:
                self.verdict.says(account, "blocked", f"{symbol} was too far from its mark at {at}")
        return decided

    def _step(self, account: str, step: Step, rows: Sequence[Row], tops: dict[str, Tick]) -> None:
        """Judge one entry of an account by its own prices."""
        before, after = step.before[account], step.after[account]
        prices: Prices = {
            symbol: (top.bid, top.ask)
            for symbol, top in tops.items()
            if top.bid is not None and top.ask is not None
        }
        self.verdict.touched.add(account)
        self.verdict.actions.update({row["action"] for row in rows})
        if before.held.keys() - prices.keys():
            return
        weight = self.rules.weigh(before.balance, before.held, prices)
        for row in rows:
            self._numbers(account, step, row, weight)
        self._tiers(account, step, rows, weight, prices)
        taking = [row for row in rows if row["action"] in ("DELEVERAGE", "TAKEOVER")]
        for rule, text in (
            *moved(self.rules, step, account, taking, prices),
            *paid(step, account, taking, self.verdict.losses),
            *begun(self.rules, step, account, rows, prices),
        ):
            self._say(account, rule, step, text)
        if any(row["action"] == "TAKEOVER" for row in rows) and after.held and not before.market:
            self._say(account, "amount", step, f"a full takeover left {', '.join(after.held)}")
        if taking and not after.held:
            self.verdict.liquidated.add(account)
        if any(level_of(row) >= LEVELS["CANCEL"] for row in rows):
            for order in step.live:
                own = order["sub_account_id"] == account and order.get("origin") != "LIQUIDATION"
                if own and not order["cancel_wanted"]:
                    self._say(account, "orders", step, f"{order['client_order_id']} is still wanted")

    def _tiers(self, account: str, step: Step, rows: Sequence[Row], weight: Weight, prices: Prices) -> None:
        before, after = step.before[account], step.after[account]
        if before.closing and not any(row["action"] == "CLOSE" for row in rows):
            return  # dust of a closing under way
        reached = self.rules.reached(weight)
        levels = {level_of(row) for row in rows} - {0}
        for level in levels:
            if not weight.crossed(self.rules.fires[level - 1]):
                self._say(account, "early", step, f"{ACTIONS[level]} at {weight}")
            elif level <= before.tier:
                self._say(account, "doubled", step, f"{ACTIONS[level]} again, tier {before.tier}, {weight}")
        if levels and reached > max(levels):
            self._say(
                account, "tier", step, f"{ACTIONS[max(levels)]} where {ACTIONS[reached]} was due: {weight}"
            )
        fits = {self.rules.level(before.tier, weight, after.closing)}
        if after.held != before.held:
            left = self.rules.weigh(after.balance, after.held, prices)
            fits.add(self.rules.level(max(fits), left) if after.held else 0)
        if not levels and self.rules.level(before.tier, weight) >= before.tier:
            self._say(account, "early", step, f"REARM in tier {before.tier} at {weight}")
        elif after.tier not in fits:
            self._say(account, "tier", step, f"it came out in tier {after.tier}, not {fits}: {weight}")

    def _numbers(self, account: str, step: Step, row: Row, weight: Weight) -> None:
        """The numbers that caused it, as far as they are written out."""
        exact: dict[str, Decimal | None] = {
            "equity": cents(weight.equity),
            "maintenance": cents(weight.maintenance),
            "ratio": weight.ratio,
        }
        told = {name: None if row[name] is None else Decimal(row[name]) for name in exact}
        if told["ratio"] is not None and weight.ratio is not None:
            # For people: compared in as many digits as it is told
            exact["ratio"] = weight.ratio.quantize(Decimal(1).scaleb(int(told["ratio"].as_tuple().exponent)))
        for name, value in exact.items():
            if told[name] != value:
                text = f"{name} is {told[name]} in the row, and {value} by its prices"
                self._say(account, "numbers", step, text)

    def _quiet(self, account: str, step: Step) -> None:
        """An entry that liquidates nobody: it leaves tiers alone, and only trades move positions."""
        before, after = step.before[account], step.after[account]
        over = before.closing and not after.closing
        if before.tier != after.tier and not over:
            text = f"tier {before.tier} became {after.tier} in an entry of kind {step.kind}"
            self._say(account, "unexplained", step, text)
        if before.market:
            for rule, text in (*covered(step, account, self.verdict.losses), *conserved(step)):
                self._say(account, rule, step, text)
        if step.kind in HANDED:
            return
        traded: dict[str, Decimal] = defaultdict(Decimal)
        for fill in step.rows.get("fills", ()):
            if fill["sub_account_id"] == account:
                quantity = Decimal(fill["quantity"])
                traded[fill["symbol"]] += quantity if fill["side"] == "BUY" else -quantity
        for symbol in before.held.keys() | after.held.keys():
            was = before.held[symbol].quantity if symbol in before.held else ZERO
            now = after.held[symbol].quantity if symbol in after.held else ZERO
            if now - was != traded[symbol]:
                self._say(account, "unexplained", step, f"{symbol} went from {was} to {now}")

    def _say(self, account: str, rule: str, step: Step, text: str) -> None:
        self.verdict.says(account, rule, f"entry {step.seq}: {text}")
