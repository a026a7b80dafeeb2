"""What the simulator has found: for each bug the traders and the faults that showed it."""

from __future__ import annotations

import pytest

from pms.sim.faults import Fault
from pms.sim.run import run

FOUND: dict[str, tuple[int, list[Fault]]] = {
    "a cancel that was told expired is not half remembered": (
        0,
        [Fault(1263, "redis_restarted", ms=900), Fault(1279, "killed", "streamer")],
    ),
    "a funding whose word was lost is made up for, though nothing moves behind it": (
        983000305,
        [Fault(3590, "ws_lost", "private", ms=40)],
    ),
    "a cancel of all lets no order live whose own command was over": (
        11,
        [Fault(1303, "usurped", "streamer", ms=2500), Fault(2777, "killed", "streamer", steps=24)],
    ),
    "a machine whose clock was set still cancels and catches up": (
        26,
        [
            Fault(1249, "clock_skewed", "streamer", ms=4000),
            Fault(2400, "ws_cut", "private"),
            Fault(3600, "listen_key_expired"),
        ],
    ),
    "a life that ended leaves nothing behind that asks with a closed session": (
        8,
        [Fault(2684, "redis_tail_lost", ms=105), Fault(2900, "market_cut", "public")],
    ),
    "a market order whose last fill was lost is asked about at once": (
        45,
        [Fault(2700, "ws_lost", "private", '"X":"FILLED"'), Fault(3000, "ws_lost", "private", '"x":"TRADE"')],
    ),
    "a command that Redis forgot is answered before anybody expires it": (
        260,
        [Fault(1590, "killed", "orders"), Fault(1646, "redis_tail_lost", ms=823)],
    ),
    "a Redis that forgot is not trusted by the second streamer either": (
        1265,
        [
            Fault(2300, "redis_tail_lost", ms=900),
            Fault(2500, "killed", "streamer"),
            Fault(3300, "killed", "streamer"),
        ],
    ),
    "a transfer that nobody decided before Redis was another is answered": (
        1009,
        [Fault(1403, "killed", "streamer"), Fault(3282, "redis_tail_lost", ms=927)],
    ),
    "an amendment whose timestamp was refused is given its right anew": (
        1019,
        [Fault(2426, "clock_skewed", "exchange", ms=-4000)],
    ),
    "a command that is repeated behind a Redis that forgot is denied by nobody but the streamer": (
        51003355,
        [Fault(972, "redis_tail_lost", ms=762), Fault(1806, "killed", "streamer", ms=300, steps=50)],
    ),
    "an amendment that was decided too late leaves no trace in memory": (
        840007407,
        [
            Fault(2154, "paused", "streamer", ms=5500),
            Fault(3327, "redis_lost_before", "orders", "BRPOP"),
            Fault(3660, "listen_key_expired", ms=500),
        ],
    ),
    "an order that was sent as it was proven unsent is not journaled void": (
        850003944,
        [
            Fault(1045, "redis_paused", ms=2500),
            Fault(3211, "queue_never", "ledger", ms=400),
            Fault(3547, "redis_lost_after", "streamer", "journal"),
        ],
    ),
    "an emptied Redis costs no order, no fill and no answer": (86, [Fault(1500, "redis_emptied", ms=60)]),
    "the word of somebody's last trade was lost, and nothing followed it": (
        900003353,
        [Fault(3004, "ws_lost", "private", word='"X":"FILLED"', ms=5)],
    ),
    "an order that expired in the second that Redis lost is read, though lists lag": (
        1010002650,
        [
            Fault(630, "reads_late", "exchange", ms=1500),
            Fault(650, "redis_tail_lost", ms=595),
            Fault(1171, "market_cut", "public", ms=250),
            Fault(1832, "redis_tail_lost", ms=132),
        ],
    ),
}

IN_STORMS: dict[str, tuple[int, list[Fault]]] = {
    "a plain task that was refused is not carried out when Redis gives it back": (
        1007002549,
        [
            Fault(947, "killed", "orders", ms=60, steps=34),
            Fault(2144, "redis_tail_lost", ms=339),
        ],
    ),
    "whose position an operator moves at its very cost, so that no money moves, is paid what he owes": (
        1007000638,
        [],
    ),
    "an order that went to the house is not reserved for its first owner by the next life": (
        1228,
        [Fault(2904, "paused", "ledger", ms=1200), Fault(3144, "redis_restarted", ms=60)],
    ),
    "a system whose first streamer died before it knew all answers once it has another": (
        1020005695,
        [Fault(305, "paused", "streamer", ms=5500), Fault(2307, "killed", "streamer", ms=1200, steps=70)],
    ),
}


WITH_ALGOS: dict[str, tuple[int, list[Fault]]] = {
    "a withdrawal that a streamer claimed before it fell asleep waits for its successor": (
        1020054611,
        [Fault(1938, "listen_key_expired", ms=3000), Fault(2473, "usurped", "streamer", ms=300)],
    ),
    "both sides of a scalper whose start Redis lost are there when it is begun again": (
        1020056255,
        [Fault(2162, "redis_tail_lost", ms=774), Fault(2341, "redis_tail_lost", ms=330)],
    ),
    "what a batch asked for on a hedged account is booked to that side": (
        1020001700,
        [Fault(2715, "killed", "streamer", ms=3000, steps=47)],
    ),
    "on a hedged account an exit that Redis lost closes what its entry, as lost, had opened": (
        1020095416,
        [Fault(1688, "redis_tail_lost", ms=174)],
    ),
    "the end of an algo that Redis lost and a ledger that slept had read was one": (
        1020082241,
        [
            Fault(1099, "ws_silent", "private", ms=40),
            Fault(2007, "paused", "ledger", ms=1200, steps=70),
            Fault(2864, "redis_emptied", ms=300),
        ],
    ),
    "a resume on its way does not undo a cancel of all": (6, []),
    "more was filled than an amendment leaves before it came, which no chase can help": (
        1001001449,
        [
            Fault(460, "redis_lost_after", "streamer", "lead"),
            Fault(759, "rest_refused", "streamer", "listenKey", ms=4500),
            Fault(1349, "redis_restarted", ms=300),
        ],
    ),
    "a streamer that stood still while Redis forgot tells no more what it remembers as done": (
        1003004483,
        [
            Fault(899, "usurped", "streamer", ms=300),
            Fault(1050, "redis_emptied", ms=2500),
            Fault(1355, "ws_late", "private", word='"x":"TRADE"', ms=5),
        ],
    ),
    "what a ledger that sleeps has read and Redis lost is waited for": (
        982007503,
        [Fault(1000, "paused", "ledger", ms=3000, steps=30), Fault(1029, "redis_emptied", ms=300)],
    ),
    "nor where its trade is read for another order's sake": (
        982005719,
        [Fault(822, "rest_1006_before", "streamer", "DELETE", 2500), Fault(2191, "redis_tail_lost", ms=131)],
    ),
    "a refusal that Redis forgot is no lie where its id is taken for something else": (
        971008636,
        [Fault(599, "paused", "ledger", ms=5500, steps=57), Fault(799, "redis_tail_lost", ms=343)],
    ),
    "the house waits for the proof that an order handed to it was never sent": (
        92000146,
        [Fault(3227, "paused", "orders", ms=300), Fault(3338, "redis_paused", ms=900)],
    ),
    "who cancelled all before Redis was emptied keeps what is held": (
        200000627,
        [
            Fault(2066, "rest_throttled", "orders", "POST /fapi/v1/order", ms=2500),
            Fault(2634, "redis_emptied", ms=2500),
        ],
    ),
    "a cancel of all that was decided too late takes no scalper with it": (
        500003048,
        [Fault(2922, "ws_lost", "private", ms=2000), Fault(3276, "paused", "streamer", ms=5500)],
    ),
    "a repeat is not answered by what is not journaled yet": (
        500003273,
        [Fault(540, "queue_twice", "pms:inbox", ms=400), Fault(644, "redis_restarted", ms=60)],
    ),
    "a push reaches an entry that a crash has left far behind": (
        500004514,
        [Fault(1854, "killed", "streamer", ms=60)],
    ),
    "an order whose amendment Redis forgot is not full by its old total": (
        65007232,
        [Fault(1095, "redis_tail_lost", ms=309)],
    ),
    "whose order went to the house is told so, and not what became of its amendment": (
        810000010,
        [
            Fault(1614, "killed", "orders", ms=3000),
            Fault(1775, "market_cut", "public", ms=2000),
            Fault(1828, "ws_silent", "private", ms=2000),
        ],
    ),
    "whoever cancelled a scalper looks until the Redis that was emptied is there again": (
        810012989,
        [
            Fault(1390, "killed", "streamer", ms=300),
            Fault(1653, "paused", "ledger", ms=1200),
            Fault(2642, "redis_emptied", ms=2500),
        ],
    ),
    "whoever cancels all cancels what is about to be proven unsent, and it is not over before it is": (
        900000557,
        [
            Fault(960, "redis_restarted", ms=2500),
            Fault(1104, "listen_key_expired", ms=500),
            Fault(1870, "killed", "orders", ms=300),
            Fault(2318, "queue_late", "urgent", ms=7000),
            Fault(2522, "paused", "urgent", ms=60),
        ],
    ),
    "a basket's trader takes back his batch, too, where it closes what the basket is to unwind": (
        800002556,
        [Fault(2723, "redis_paused", ms=900)],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_survived(name: str) -> None:
    seed, plan = FOUND[name]
    outcome = run(seed, plan=plan, storms=False, algos=False)
    assert outcome.violation is None, outcome.violation


@pytest.mark.parametrize("name", IN_STORMS)
def test_what_was_found_in_a_storm_is_survived(name: str) -> None:
    seed, plan = IN_STORMS[name]
    outcome = run(seed, plan=plan, storms=True, algos=False)
    assert outcome.violation is None, outcome.violation


@pytest.mark.parametrize("name", WITH_ALGOS)
def test_what_was_found_beside_algos_is_survived(name: str) -> None:
    seed, plan = WITH_ALGOS[name]
    outcome = run(seed, plan=plan, algos=True)
    assert outcome.violation is None, outcome.violation
