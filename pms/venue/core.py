"""The core of a venue put together: everything but its doors. Clocks, chance and journal come in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import structlog

from pms.venue import user_events
from pms.venue.acts import Acts
from pms.venue.amendments import Amendments
from pms.venue.auth import Credential, Credentials
from pms.venue.background import synthetic
from pms.venue.conditional.room import Conditionals
from pms.venue.countdown import Countdowns
from pms.venue.exchange import Exchange
from pms.venue.faults import Faults
from pms.venue.faults.replica import LateReads
from pms.venue.feeds.hub import Hub
from pms.venue.feeds.publisher import Feeds
from pms.venue.funding import Fundings
from pms.venue.history import NOTHING, Past
from pms.venue.insurance import Insurance
from pms.venue.limits import Allowance, RateLimits
from pms.venue.liquidation import Liquidations
from pms.venue.listen_keys import ListenKeys
from pms.venue.market import Market
from pms.venue.restore import Remembered, restore
from pms.venue.settlement import Fees
from pms.venue.symbols import SymbolTable
from pms.venue.transaction import Journal
from pms.venue.venue import Venue

log = structlog.get_logger(__name__)

encode = msgspec.json.Encoder().encode
LISTEN_KEY_LENGTH = API_KEY_LENGTH = 64
CHECKPOINT_S = 30.0


def build(
    symbols: SymbolTable,
    *,
    credentials: Sequence[Credential],
    journal: Journal,
    memory: Remembered,
    clock: Callable[[], int],
    monotonic_ns: Callable[[], int],
    token: Callable[[int], str],
    fees: Fees,
    limited: bool,
    legacy_acks: bool = False,
    liquidate: bool = False,
    past: Past = NOTHING,
) -> Venue:
    """Build a venue that goes on from what it remembers; it liquidates accounts only where it is told to."""
    markets = {
        symbol.name: Market(symbol, start_price=synthetic.start_price(symbol))
        for symbol in symbols.by_name.values()
    }
    faults = Faults(monotonic_ns)
    hub = Hub(faults)

    def expired(key: str) -> None:
        event = encode(user_events.listen_key_expired(key, time=clock()))
        hub.publish_user(key, "listenKeyExpired", event)

    keys = ListenKeys(
        memory.keys.values(),
        journal=journal,
        clock=clock,
        token=lambda: token(LISTEN_KEY_LENGTH),
        expired=expired,
    )
    feeds = Feeds(markets, hub=hub, faults=faults, keys=keys, clock=clock, monotonic_ns=monotonic_ns)
    exchange = Exchange(markets, journal=journal, publisher=feeds, clock=clock, fees=fees, past=past)
    for order in restore(exchange, memory):
        log.warning("venue.unlisted_order", symbol=order.symbol, order=order.order_id)
    acts = Acts(exchange)
    # In front of those who have work of their own: each change is copied before the next
    late_reads = LateReads(exchange, faults, clock=clock)
    conditionals = Conditionals(exchange, memory.algos.values(), last_id=memory.last_ids.algo, token=token)
    venue = Venue(
        exchange=exchange,
        acts=acts,
        amendments=Amendments(exchange, memory.amendments, last_id=memory.last_ids.amendment),
        conditionals=conditionals,
        fundings=Fundings(exchange, acts),
        feeds=feeds,
        symbols=symbols,
        credentials=Credentials(
            credentials,
            memory.api_keys.values(),
            journal=journal,
            clock=clock,
            token=lambda: token(API_KEY_LENGTH),
        ),
        limits=RateLimits(Allowance.read(symbols.info), enforced=limited, clock=clock),
        keys=keys,
        countdowns=Countdowns(memory.countdowns.values(), exchange=exchange, journal=journal),
        faults=faults,
        late_reads=late_reads,
        clock=clock,
        monotonic_ns=monotonic_ns,
        token=token,
        legacy_acks=legacy_acks,
    )
    if liquidate:
        # Behind the conditional orders: a stop that the same price lets out comes first
        Liquidations(exchange, Insurance(exchange))
    return venue


async def keep_house(venue: Venue) -> None:
    """Expire listen keys and orders every second; note the last prices now and then. For ever."""
    loop = asyncio.get_running_loop()
    noted = loop.time()
    while True:
        await asyncio.sleep(1.0)
        venue.keys.expire()
        venue.exchange.expire_due()
        if loop.time() - noted >= CHECKPOINT_S:
            noted = loop.time()
            venue.exchange.checkpoint()
