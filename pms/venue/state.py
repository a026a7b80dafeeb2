"""The venue's durable facts. Each is journaled whole when it changes; the last one of a key is the truth.

Prices are ticks and quantities lots (int) of the symbol; money is Decimal; times are milliseconds.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

OPEN_STATUSES = ("NEW", "PARTIALLY_FILLED")
ZERO = Decimal(0)
WALLET = "USDT"
BOTH, LONG, SHORT = "BOTH", "LONG", "SHORT"
BOUND = "GTE_GTC"


class Origin(msgspec.Struct, frozen=True):
    """What an order was before a price let it out: the conditional order's terms that it still shows."""

    type: str
    trigger: int
    working_type: str
    close_position: bool
    price_protect: bool
    activation: int = 0
    callback: int = 0
    # GTE_GTC: it ends with the position that it would close
    bound: bool = False


class Order(msgspec.Struct, tag="order", tag_field="k"):
    """One order of an account, open or closed."""

    account: str
    symbol: str
    order_id: int
    client_order_id: str
    side: int
    type: str
    time_in_force: str
    price: int
    quantity: int
    reduce_only: bool
    self_trade: str
    created: int
    updated: int
    status: str = "NEW"
    executed: int = 0
    # Σ price x quantity of its fills, in ticks x lots: the exact base of avgPrice and cumQuote
    quote: int = 0
    # Price at which margin is held for what is open of it
    assumed: Decimal = ZERO
    # Arrival order among resting orders; an amend gives a new one
    rank: int = 0
    amendments: int = 0
    # Set where a conditional order let it out
    origin: Origin | None = None
    # How its price was named; an amend that gives a price ends it
    price_match: str = "NONE"
    # When a GTD order expires; 0 for all others
    good_till: int = 0
    # The position that it moves: LONG or SHORT in hedge mode
    position_side: str = BOTH

    @property
    def open(self) -> bool:
        """Whether it still rests or may rest."""
        return self.status in OPEN_STATUSES

    @property
    def told_time_in_force(self) -> str:
        """As its account reads it. Trap: no book knows positions, what is bound to one is GTC there."""
        return BOUND if self.origin is not None and self.origin.bound else self.time_in_force

    @property
    def remaining(self) -> int:
        """Lots not traded."""
        return self.quantity - self.executed


class AlgoOrder(msgspec.Struct, tag="algo", tag_field="k"):
    """One conditional order. `quantity` 0 closes whatever is held when it triggers."""

    account: str
    symbol: str
    algo_id: int
    client_algo_id: str
    side: int
    type: str
    time_in_force: str
    quantity: int
    price: int
    trigger: int
    working_type: str
    close_position: bool
    price_protect: bool
    reduce_only: bool
    self_trade: str
    created: int = 0
    updated: int = 0
    status: str = "NEW"
    # Trailing: how far back, in thousandths of the best price; where it begins; whether it has begun
    callback: int = 0
    activation: int = 0
    activated: bool = False
    # The best price seen, in ticks, as it was when this was written: a Watermark may have moved it since
    peak: Decimal = ZERO
    order_id: int = 0
    triggered: int = 0
    reason: str = ""
    position_side: str = BOTH

    @property
    def open(self) -> bool:
        """Whether it still waits, or is on its way out."""
        return self.status in ("NEW", "TRIGGERING")

    @property
    def over(self) -> bool:
        """Whether it can change no more; a TRIGGERED one ends with the order that it let out."""
        return self.status not in ("NEW", "TRIGGERING", "TRIGGERED")

    @property
    def bound(self) -> bool:
        """Whether it ends with the position that it would close."""
        return self.close_position or self.time_in_force == BOUND

    @property
    def callback_percent(self) -> Decimal:
        """callbackRate as the wire has it."""
        return Decimal(self.callback) / 10


class Amendment(msgspec.Struct, tag="amendment", tag_field="k", frozen=True):
    """One change of an order; price and quantity before and after, in ticks and lots."""

    account: str
    symbol: str
    amendment_id: int
    order_id: int
    client_order_id: str
    time: int
    price: tuple[int, int]
    quantity: tuple[int, int]
    count: int


class Watermark(msgspec.Struct, tag="peak", tag_field="k", frozen=True):
    """A new best price for the trailing orders of one side that follow; in ticks."""

    symbol: str
    working_type: str
    side: int
    price: Decimal


class Trade(msgspec.Struct, tag="trade", tag_field="k", frozen=True):
    """One account's side of one trade; a self-trade gives two rows with one id."""

    account: str
    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: int
    price: int
    quantity: int
    realized: Decimal
    commission: Decimal
    maker: bool
    time: int
    commission_asset: str = WALLET
    position_side: str = BOTH


class Position(msgspec.Struct, tag="position", tag_field="k"):
    """One account's position in a symbol (cross margin): net, or in hedge mode its long or short one.

    Shorts are negative. Leverage is the symbol's: all positions in it have the same.
    """

    account: str
    symbol: str
    leverage: int
    lots: int = 0
    entry: Decimal = ZERO
    # Σ realized profit since the account exists, before fees
    accumulated: Decimal = ZERO
    # Fees paid less profit realized since the position was last flat: what break-even must earn back
    carry: Decimal = ZERO
    updated: int = 0
    position_side: str = BOTH


class Wallet(msgspec.Struct, tag="wallet", tag_field="k"):
    """One account's cash: USDT, and whatever else it holds."""

    account: str
    balance: Decimal
    updated: int
    next_transaction: int = 1
    assets: dict[str, Decimal] = {}
    fee_burn: bool = False
    # Position mode: longs and shorts side by side instead of one net position a symbol
    hedge: bool = False
    # Commission rates of its own, a maker's below zero is a rebate; without, the venue's
    maker_rate: Decimal | None = None
    taker_rate: Decimal | None = None


class Income(msgspec.Struct, tag="income", tag_field="k", frozen=True):
    """One line of the income history."""

    account: str
    symbol: str
    type: str
    amount: Decimal
    time: int
    transaction_id: int
    trade_id: int | None = None
    asset: str = WALLET


class Funding(msgspec.Struct, tag="funding", tag_field="k", frozen=True):
    """One funding of a symbol, as the public history shows it."""

    symbol: str
    rate: Decimal
    mark: Decimal
    time: int


class ListenKey(msgspec.Struct, tag="key", tag_field="k", frozen=True):
    """An account's user-stream key; `expires` 0 means deleted."""

    account: str
    key: str
    expires: int


class ApiKey(msgspec.Struct, tag="api", tag_field="k", frozen=True):
    """A key that an operator made or revoked; a revoked one has no secret any more."""

    account: str
    key: str
    secret: str
    created: int
    trades: bool = True
    revoked: bool = False

    def __repr__(self) -> str:
        """Without the secret: facts find their way into logs."""
        return f"ApiKey(account={self.account!r}, trades={self.trades}, revoked={self.revoked})"


class Countdown(msgspec.Struct, tag="countdown", tag_field="k", frozen=True):
    """When all orders of one account in one symbol are cancelled; `deadline` 0 means stopped."""

    account: str
    symbol: str
    deadline: int


class SymbolState(msgspec.Struct, tag="symbol", tag_field="k", frozen=True):
    """Ids already given away, in blocks, and the last price: what a restart must not step back from.

    `tick` and `step` are what one tick and one lot are worth in all facts of this symbol; journals of earlier
    releases do not say.
    """

    symbol: str
    order_ids: int
    trade_ids: int
    last_price: int
    tick: Decimal | None = None
    step: Decimal | None = None


class LastIds(msgspec.Struct, tag="ids", tag_field="k", frozen=True):
    """The newest ids of conditional orders and amendments that a snapshot no longer has rows of."""

    algo: int = 0
    amendment: int = 0


Fact = (
    Order
    | AlgoOrder
    | Amendment
    | Watermark
    | Trade
    | Position
    | Wallet
    | Income
    | Funding
    | ListenKey
    | ApiKey
    | Countdown
    | SymbolState
    | LastIds
)
