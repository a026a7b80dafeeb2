"""The kinds of incidents: what each means, what to do next, and what ends it.

The only place where a kind is described: the command line, the webhook and `docs/incidents.md` read it.
"""

from __future__ import annotations

from typing import NamedTuple

EVIDENCE = "evidence"
"""Who resolved an incident, where no person did: what it told of is no longer so."""


class Kind(NamedTuple):
    """One kind of incident."""

    meaning: str
    next_step: str
    lasting: str | None = None
    #: what must be seen to resolve it; None: it happened, and is over when a person has seen it


KINDS: dict[str, Kind] = {
    "drift": Kind(
        "What all accounts hold is not what the exchange says, in a symbol or in the wallet, for over 3 s.",
        "`pms reconcile` reads the missing trades. Where none is missing, `pms house` shows who holds what; "
        "`pms adjust` corrects a balance against the house.",
        "our sum and the exchange's agree again",
    ),
    "unknown_order": Kind(
        "An order was sent over 30 s ago, and the exchange neither shows it nor is it proven absent.",
        "Look for its client order id at the exchange. If it is not there: "
        "`pms resolve ORDER --as not-executed --reason …`; where the exchange gave it an id, "
        "`--as cancelled`.",
        "the order is found, or proven never to have been executed",
    ),
    "order_vanished": Kind(
        "An order that was live is not found by its id. After three days the exchange forgets one that ended "
        "without a trade: that is proven by itself within minutes.",
        "If it stays, it has traded, or is younger than three days or older than 90. Where the exchange's "
        "own page shows its end: `pms resolve ORDER --as cancelled --reason …`.",
        "the exchange finds it again, or its end is known or proven",
    ),
    "foreign_order": Kind(
        "An order that is not ours rests on the exchange account. It is left alone.",
        "Find out who placed it. What it trades goes to the house; `pms reassign` hands it on.",
        "the exchange lists it no more",
    ),
    "foreign_trade": Kind(
        "A trade of an order that nobody here knows was booked, to the house or to its tag's account.",
        "`pms house` shows it. `pms reassign SYMBOL --order ID --to ACCOUNT --reason …` gives all trades of "
        "that order to whom they belong.",
        "all of it was reassigned",
    ),
    "orphan_order": Kind(
        "An order with our prefix was found at the exchange that nobody remembered; it is being cancelled.",
        "Look for what was lost: `pms audit`, and the journal around that time.",
    ),
    "late_fill": Kind(
        "An order traded after it had ended. The trade is booked.",
        "Compare the account's position with what its trader wants.",
    ),
    "trade_left_out": Kind(
        "A fault of ours met a trade that cannot be booked: the streamer began anew, and leaves it out. The "
        "books lack it, and say so as `drift`; all else goes on.",
        "Report the line `memory_spoiled` of the streamer's log. Each start of its process tries it again: a "
        "release that mends the fault books it. Do not `pms adjust` meanwhile, or it counts twice.",
        "it is booked",
    ),
    "overfill": Kind(
        "An order traded more than its quantity. All of it is booked.",
        "Compare the order at the exchange; close what was not wanted.",
    ),
    "beyond_position": Kind(
        "An order of a hedged sub-account took more of a position than there was. All of it is booked to the "
        "account; what was too much opened its other position.",
        "`pms positions` shows both; `pms reassign` or an order puts right what its trader did not want.",
    ),
    "unknown_amendment": Kind(
        "An amendment was sent over 30 s ago, and the order shows neither the new terms nor a refusal.",
        "The order lives on its old terms; margin is held for the larger ones. `pms cancel ORDER` ends both.",
    ),
    "closing_stuck": Kind(
        "A sub-account is being liquidated at market, and order after order of a symbol comes to nothing, or "
        "it is not closed after a minute.",
        "See why the exchange refuses them. `pms limits set ACCOUNT liquidation.mode transfer --reason …` "
        "moves what is left to the house on the next tick.",
        "an order of it traded, or the account is closed",
    ),
    "algo_failed": Kind(
        "A fault of ours in an algo: it was ended as failed, and its orders are being cancelled.",
        "`pms algo show ID` tells what it did; its position is the sub-account's and nobody works on it now. "
        "Report the line `algo_failed` of the streamer's log.",
    ),
    "stop_refused": Kind(
        "An algo's order at market that only reduces, as a stop's that has fired, comes to nothing again and "
        "again: what it should close is still held.",
        "`pms algo show ID` tells what is left, and why. Where smaller orders may be taken they are tried by "
        "themselves; else close by hand with reduceOnly, or cure what the reason names.",
        "an order of it was taken, or it is not tried any more",
    ),
    "liquidation_waits": Kind(
        "A sub-account has crossed a line, and a price of its symbols may not be acted on.",
        "See that the symbol's book is in sync and near its mark price; `pms halt ACCOUNT --reason …` "
        "meanwhile.",
        "the price may be acted on again",
    ),
    "position_kept": Kind(
        "A sub-account is liquidated but for a position whose symbol is not listed, or does not trade: it "
        "has no price, and nobody can close it.",
        "`pms reassign SYMBOL --from ACCOUNT --to house --price PRICE --reason …` moves it at a price that "
        "you say.",
    ),
    "unwinding_refused": Kind(
        "The exchange does not take the orders by which the house closes what it took over. They are sent "
        "again, ever more rarely, every half minute in the end.",
        "The detail has the exchange's code and what is left. Too little margin (-2019): put money into the "
        "exchange account. Too large a position (-2027): lower its leverage in that symbol.",
        "one of its orders trades, or nothing is left to close",
    ),
    "master_margin": Kind(
        "The exchange account itself is near its maintenance margin. Above 0.70 nothing is opened any more.",
        "Put money into the exchange account, or reduce; then `pms resume --reason …`.",
        "its margin is far again",
    ),
    "margin_call": Kind(
        "The exchange warns that it is about to liquidate.",
        "Put money into the exchange account now, or `pms panic --flatten`.",
    ),
    "exchange_liquidation": Kind(
        "The exchange liquidated a part of the account. Its trades went to the house.",
        "Put money into the exchange account, or reduce. `pms reassign` hands the trades on.",
    ),
    "exchange_adl": Kind(
        "The exchange closed a part of a position against a liquidated trader's. It went to the house.",
        "`pms house` shows what it holds against the sub-accounts; `pms reassign` hands the trades on.",
    ),
    "exchange_settlement": Kind(
        "The exchange settled a symbol. The trades went to the house; sub-accounts still hold positions.",
        "`pms reassign SYMBOL --order ID --to ACCOUNT --reason …` for each account that held it.",
    ),
    "income": Kind(
        "Money of a kind that no rule knows came or went. The house has it.",
        "`pms adjust` gives it to whom it belongs.",
    ),
    "funding": Kind(
        "A funding is over, and the exchange does not list it as it should, or refuses to tell.",
        "Look at the exchange's funding history of that symbol; `pms adjust` books it by hand.",
    ),
    "debt_paid": Kind(
        "A sub-account without positions was below zero, and nobody liquidated it: it closed in a gap, "
        "or a funding or a fee was booked late. The insurance paid it, and the house what that lacked.",
        "See in its ledger how it came to it, and whether its tiers and leverage leave room for such gaps.",
    ),
    "fee_unpriced": Kind(
        "A fee was paid in an asset that has no price here. It waits as an open item.",
        "See that the asset's symbol is followed; with its first price all open fees are booked.",
    ),
    "symbol_closed": Kind(
        "The exchange account is set up otherwise than we reckon in a symbol: nothing is opened there.",
        "Set its margin type and leverage at the exchange as the detail says.",
    ),
    "symbol_rules": Kind(
        "The exchange changed the rules of a symbol to the worse for whoever holds it: more maintenance "
        "margin, a step on which a position does not lie, or it trades no more.",
        "The detail says who. More margin: liquidation is judged by it from now on. A step: `pms reassign` "
        "hands what no order can close to the house. No more trading: the exchange will settle it.",
    ),
    "symbol_refused": Kind(
        "The exchange answers nothing about a symbol that was traded here: it is delisted, or closed. What "
        "is not known of its orders and trades stays unknown; all else goes on.",
        "See at the exchange what became of it. An order that still lives here: `pms resolve ORDER --as "
        "cancelled --reason …`. A position that is no more there: `pms reassign` what settled it.",
        "the exchange answers for it again",
    ),
    "exchange_setting": Kind(
        "Somebody changed the exchange account's leverage or margin type in a symbol.",
        "Find out who did; put it back where it closes the symbol.",
    ),
    "account_mode": Kind(
        "The exchange account was switched to multi-assets mode, on which every sum here is wrong.",
        "Switch it back: POST /fapi/v1/multiAssetsMargin. Nothing is admitted meanwhile.",
    ),
    "sums": Kind(
        "A running sum of positions or balances is not what counting anew gives.",
        "Report it: this is a bug. `pms audit` says whether the books themselves agree.",
    ),
    "process_hung": Kind(
        "The watchdog ended a process that hung, or found one hanging where it cannot end it.",
        "Read the log of that part around that time; `pms status` says whether it is back.",
    ),
    "halt_renewed": Kind(
        "A halt that Redis had forgotten, or that somebody set by hand, was put back in force.",
        "`pms status` shows the halts; `pms resume --reason …` lifts one.",
    ),
    "task_failed": Kind(
        "A service of the streamer failed and was started again.",
        "`pms logs streamer` has the traceback. Report it.",
    ),
    "dead_man_withheld": Kind(
        "The streamer is unwell and lets the exchange's countdown run: resting orders will be cancelled.",
        "`pms status` says why; put that right, or `pms cancel --all`.",
    ),
    "projection_drift": Kind(
        "Redis shows something else than the streamer's memory. It was written anew.",
        "Find out who wrote to Redis: nobody but the streamer's script may.",
        "Redis shows the same as memory",
    ),
    "ledger_behind": Kind(
        "PostgreSQL has taken in nothing of the journal for half a minute. Trading goes on and nothing is "
        "lost, for the archive has it. What reads PostgreSQL shows the past; no state snapshot is made.",
        "`pms logs worker-ledger` says why, `pms doctor` whether PostgreSQL answers. Is its disk full?",
        "it takes in the journal again",
    ),
    "ledger_drift": Kind(
        "A row in PostgreSQL is not what the journal made of it. It was journaled anew.",
        "Find out who wrote to the database: nobody but the fold may. Then `pms audit`.",
        "PostgreSQL holds the same as memory",
    ),
    "feed_behind": Kind(
        "Market data comes, and is old when it is taken: longer behind the exchange's clock than a silent "
        "feed may be (`PMS_STALE_PRICE_MS`). Whatever is judged by a price is judged by an old one.",
        "`pms status` tells how far behind, and whether the streamer lags: it may want a processor of its "
        "own, fewer symbols or fewer algos. Else the line or the clock is bad. A limit `price.age` refuses "
        "orders meanwhile.",
        "the freshest price is younger than half of that",
    ),
    "snapshot_missing": Kind(
        "No state snapshot could be made for five minutes. Nothing is lost, for the archive has it all; but "
        "a start reads everything since the last one, and takes longer with each minute.",
        "The detail says why: PostgreSQL is away or too slow, or the disk is full. `pms logs worker-recon`.",
        "a snapshot can be made again",
    ),
    "risk_limit": Kind(
        "A limit on VaR, expected shortfall, stress loss or margin is crossed (`pms limits`, `risk.…`).",
        "`pms risk --account NAME` shows by what. Reduce, or move money; nothing is closed by itself.",
        "the figure is below nine tenths of the limit",
    ),
    "webhook_failing": Kind(
        "The webhook did not take a message after the last try; that message is given up.",
        "See that PMS_WEBHOOK_URL answers 2xx within 5 s; `pms logs worker-recon` has the reason.",
        "it took one again",
    ),
    "bad_command": Kind(
        "A command without a usable requestId came; it cannot be answered.",
        "Repair the sender.",
    ),
    "request_id_reused": Kind(
        "A requestId came again with another command; the first stands.",
        "Repair the sender: each command needs a requestId of its own.",
    ),
    "bad_user_frame": Kind(
        "A frame of the user stream cannot be read; the exchange was asked for what it may have said.",
        "`pms reconcile` shows whether all agrees. Report the frame: the exchange's protocol has changed.",
    ),
}

_UNKNOWN = Kind("Something that an operator should see.", "Read its detail and evidence.")


def kind_of(name: str) -> Kind:
    """What is known of a kind; an older or newer release may have told others."""
    return KINDS.get(name, _UNKNOWN)
