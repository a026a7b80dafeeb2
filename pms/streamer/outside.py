"""What happens to the exchange account from outside: money, fundings, its margin, settings and symbol rules.

One loop, so that nothing here needs a lock. Each duty has its own time and its own failure: an endpoint
that fails puts off that duty alone; one that hangs holds up all until its time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from pms.binance.client import ExchangeClient
from pms.binance.errors import ExchangeError
from pms.domain.fees import price_symbol, settle_open
from pms.domain.headroom import SymbolSetting
from pms.domain.master import MasterMargin, judge_master
from pms.streamer.catch_up import CatchUp
from pms.streamer.conservation import money_differs
from pms.streamer.engine import Engine
from pms.streamer.funding import FundingReader
from pms.streamer.income import IncomeReader
from pms.streamer.symbol_rules import follow_rules

log = structlog.get_logger()
BEAT_S = 1.0
FUNDING_EVERY_S = 5.0
INCOME_EVERY_S = 600.0
INCOME_FIRST_S = 60.0
"""So long after the start, or a failure, the income history is read from its cursor on."""

SETTLE_S = 1.0
"""After a gap was closed the wallets have so long to agree with our sums by what is still on its way."""

BEFORE_MS = 60_000
"""So far behind the moment when money last agreed its difference is looked for."""

INCOME_RETRIES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
MARGIN_BUSY_S = 3.0
MARGIN_IDLE_S = 30.0
SETTINGS_AGAIN_S = (2.0, 5.0, 15.0, 60.0)
"""So long after a reading of settings the next may be; longer, where they cannot be read."""

RULES_EVERY_S = 600.0
RULES_AGAIN_S = 60.0
"""So long after a reading the next may be: behind a failure, or a refusal that speaks of other rules."""


@dataclass(slots=True)
class Outside:
    """Keeps up with what nobody here asked for."""

    engine: Engine
    client: ExchangeClient
    catch_up: CatchUp
    monotonic: Callable[[], float]
    ready: Callable[[], bool]
    follow: Callable[[str], object]
    #: follow a symbol's book, for its price
    wanted_leverage: int | None = None
    incomes: IncomeReader = field(init=False)
    fundings: FundingReader = field(init=False)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _income_at: float = 0.0
    _missing_at: float = float("inf")
    _missing_tries: int = 0
    _told: int = 0
    _agreed_at: int = 0
    #: the time of the exchange's last word of money that agreed with our sums
    _margin_at: float = 0.0
    _funding_at: float = 0.0
    _settings_stale: bool = True
    _settings_at: float = 0.0
    #: not before, however often they change or cannot be read
    _settings_tries: int = 0
    _all_fundings: bool = False
    _rules_at: float = field(init=False)
    _rules_again_at: float = field(init=False)
    #: not before, whatever the exchange refuses

    def __post_init__(self) -> None:
        self.incomes = IncomeReader(self.engine, self.client)
        self.fundings = FundingReader(self.engine, self.client, self.ready)
        self.engine.income = self.income_heard
        self.engine.money_missed = self.money_missed
        self.engine.reconfigured = self.reconfigured
        self.engine.margin_called = self.margin_called
        self.engine.rules_doubted = self.rules_doubted
        self._rules_read()

    def income_heard(self) -> None:
        """Money moved without a trade: read the income history now, and look for fundings."""
        self._missing_at = self._funding_at = 0.0
        self._missing_tries = 0
        self._all_fundings = True
        self._woken.set()

    def money_missed(self) -> None:
        """A wallet differs, and nobody has told why: read the income history now."""
        self._missing_at, self._missing_tries = 0.0, 0
        self._woken.set()

    def margin_called(self) -> None:
        """The exchange warns of a liquidation: read how near it is now."""
        self._margin_at = 0.0
        self._woken.set()

    def gap_closed(self) -> None:
        """The stream was away: look for fundings, and for income if the wallets say that some was missed.

        And for settings: what it told of them meanwhile is told by nothing else.
        """
        self._missing_at, self._funding_at = self.monotonic() + SETTLE_S, 0.0
        self._missing_tries = 0
        self._all_fundings = True
        self.reconfigured()

    def reconfigured(self) -> None:
        """The exchange account's settings changed: read them anew."""
        self._settings_stale = True
        self._woken.set()

    def rules_doubted(self) -> None:
        """The exchange refused by a rule that we had held an order against: read the rules soon."""
        self._rules_at = min(self._rules_at, self._rules_again_at)

    async def read_settings(self) -> None:
        """Read the account's mode, and margin type and leverage of every symbol.

        Trap: the feed may tell of another mode while the answer is under way; then both are read again.
        """
        headroom = self.engine.desk.headroom
        self._settings_stale = False
        try:
            multi_assets = await self.client.multi_assets_mode()
            if not self._settings_stale:
                self.engine.account_mode(multi_assets=multi_assets)
            rows = await self.client.symbol_configs()
        except BaseException:
            self._settings_stale = True
            raise
        closed = headroom.closed()
        headroom.wanted_leverage = self.wanted_leverage
        before = dict(headroom.settings)
        headroom.settings = {row.symbol: SymbolSetting(row.margin_type, row.leverage) for row in rows}
        for symbol, reason in headroom.closed().items():
            if symbol not in closed and self._ours(symbol):
                self.engine.raise_incident("symbol_closed", "critical", f"nothing is opened: {reason}")
        for symbol, setting in headroom.settings.items():
            old = before.get(symbol)
            if old is not None and old != setting:
                told = f"{symbol} was set to {setting.margin_type} {setting.leverage} x"
                self.engine.raise_incident("exchange_setting", "warning", f"{told} by somebody else")

    async def catch_up_once(self) -> None:
        """Read at start what was missed while down; what fails is left to the loop."""
        self._income_at = self.monotonic() + INCOME_FIRST_S
        for duty in (self._read_margin, self._look_for_missing, self._read_fundings):
            await self._guarded(duty)

    async def run(self) -> None:
        """Keep up for ever."""
        while True:
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            self._follow_held()
            self._settle_fees()
            now = self.monotonic()
            if self._settings_stale and now >= self._settings_at:
                await self._guarded(self._read_settings)
            self._note_agreement()
            if now >= self._income_at:
                await self._guarded(self._read_income)
            if now >= self._missing_at:
                await self._guarded(self._look_for_missing)
            if now >= self._funding_at:
                await self._guarded(self._read_fundings)
            if now >= self._margin_at or (self.engine.venue.moved and now >= self._margin_busy()):
                await self._guarded(self._read_margin)
            if now >= self._rules_at:
                await self._guarded(self._read_rules)

    async def _read_settings(self) -> None:
        """Read them, and not again for a while: both answers weigh as much as thirty-five others."""
        self._settings_tries = min(self._settings_tries + 1, len(SETTINGS_AGAIN_S) - 1)
        self._settings_at = self.monotonic() + SETTINGS_AGAIN_S[self._settings_tries]
        await self.read_settings()
        self._settings_tries = 0
        self._settings_at = self.monotonic() + SETTINGS_AGAIN_S[0]

    def _note_agreement(self) -> None:
        """Note that money agreed when the exchange last spoke of it.

        Trap: its silence says nothing. While the stream is away or half open both sums stand still and
        seem to agree, whatever moves meanwhile.
        """
        venue = self.engine.venue
        if venue.told != self._told:
            self._told = venue.told
            if not money_differs(self.engine.desk, venue):
                self._agreed_at = venue.heard_at

    async def _read_income(self) -> None:
        self._income_at = self.monotonic() + INCOME_FIRST_S
        for symbol in sorted(await self.incomes.read()):
            await self.catch_up.trades(symbol)
        self._income_at = self.monotonic() + INCOME_EVERY_S

    async def _look_for_missing(self) -> None:
        """Read what may explain a difference of money, again and again for a while, as long as it lasts."""
        tries = self._missing_tries
        self._missing_at = float("inf")
        if tries == len(INCOME_RETRIES_S) or not money_differs(self.engine.desk, self.engine.venue):
            return
        self._missing_at = self.monotonic() + INCOME_RETRIES_S[tries]
        self._missing_tries += 1
        for symbol in sorted(await self.incomes.read(since=self._agreed_at - BEFORE_MS)):
            await self.catch_up.trades(symbol)

    async def _read_fundings(self) -> None:
        self._funding_at = self.monotonic() + FUNDING_EVERY_S
        everything, self._all_fundings = self._all_fundings, False
        await self.fundings.poll(everything=everything)

    async def _read_margin(self) -> None:
        self._margin_at = self.monotonic() + MARGIN_IDLE_S
        desk, self.engine.venue.moved = self.engine.desk, False
        counted = [coid for coid in desk.headroom.uncounted if _counted(desk.orders.get(coid))]
        account = await self.client.account()
        desk.headroom.told(account.available_balance, counted=counted)
        margin = MasterMargin(account.total_margin_balance, account.total_maint_margin)
        posting = judge_master(desk, margin, at=self.engine.now())
        if posting is not None:
            self.engine.outbox.add(posting, lambda held: self.engine.unwanted(posting, held=held))

    async def _read_rules(self) -> None:
        """Read what the exchange allows in each symbol; of a new one its settings must be known, too."""
        self._rules_at = self._rules_again_at = self.monotonic() + RULES_AGAIN_S
        if await follow_rules(self.engine, self.client):
            self._settings_stale = True
        self._rules_read()

    def _rules_read(self) -> None:
        now = self.monotonic()
        self._rules_at, self._rules_again_at = now + RULES_EVERY_S, now + RULES_AGAIN_S

    def _margin_busy(self) -> float:
        return self._margin_at - MARGIN_IDLE_S + MARGIN_BUSY_S

    def _follow_held(self) -> None:
        """Follow what anybody holds: an import, a correction or a trade by hand may bring any symbol.

        Trap: whoever holds something without a price is never judged, whatever else he loses.
        """
        desk = self.engine.desk
        held = {symbol for positions in desk.held.values() for symbol, _ in positions}
        for symbol in sorted(held & desk.instruments.keys()):
            self.follow(symbol)

    def _settle_fees(self) -> None:
        """Book fees whose asset has a price by now; follow the assets that have none."""
        for asset in {fee.asset for fee in self.engine.desk.treasury.unpaid.values()}:
            if price_symbol(asset) in self.engine.desk.instruments:
                self.follow(price_symbol(asset))
        self.engine.outbox.add(settle_open(self.engine.desk, at=self.client.exchange_now_ms()))

    async def _guarded(self, duty: Callable[[], Awaitable[None]]) -> None:
        try:
            await duty()
        except (ExchangeError, OSError, ValueError) as error:
            log.warning("outside_not_read", duty=duty.__name__, error=str(error))

    def _ours(self, symbol: str) -> bool:
        """Whether anybody here has to do with a symbol: a thousand others are nobody's business."""
        desk = self.engine.desk
        return symbol in desk.cursors or symbol in desk.tops


def _counted(order: object) -> bool:
    """Whether the exchange had spoken of an order: then its margin is in what it says is available."""
    return order is None or not getattr(order, "unproven", False)
