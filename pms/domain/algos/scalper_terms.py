"""What a scalper may be asked for: its terms on the symbol's grid, or a refusal that says what is wrong."""

from __future__ import annotations

from decimal import Decimal

from pms.contract.algo_commands import AmendScalper, Scalper
from pms.contract.codes import Code, Refusal
from pms.contract.money import plain
from pms.contract.names import BOTH, LONG
from pms.domain.algos.layers import SIDES, leg_name
from pms.domain.algos.targets import check_target
from pms.domain.instrument import Instrument

WHOLE = Decimal(100)
AMENDABLE = (
    "legs",
    "base_offset_pct",
    "spacing_pct",
    "take_profit_pct",
    "stop_loss_pct",
    "cool_down",
    "max_exposure",
    "low_price",
    "high_price",
    "anchor_mode",
    "anchor_pct",
    "on_end",
)


def settled(terms: Scalper) -> Scalper:
    """The terms with what was left to be as another; an amendment of that other leaves it alone."""
    usual = terms.base_offset_pct
    return terms.model_copy(
        update={
            "spacing_pct": terms.spacing_pct or usual,
            "take_profit_pct": terms.take_profit_pct or usual,
            "anchor_pct": terms.anchor_pct or usual,
        }
    )


def amended(terms: Scalper, command: AmendScalper) -> Scalper:
    """The terms as a command changes them; raises Refusal if it changes nothing."""
    changed = {name: value for name in AMENDABLE if (value := getattr(command, name)) is not None}
    if not changed:
        raise Refusal(Code.MISSING_FIELD, "name what is to be changed", field="legs")
    return terms.model_copy(update=changed)


def sizes(terms: Scalper, instrument: Instrument, *, mid: Decimal) -> list[Decimal]:
    """What each layer of a leg is for, the nearest first; raises Refusal where that can be no order."""
    found = []
    for number in range(terms.layers):
        asked = terms.quantity * terms.size_factor**number
        # The first layer is what was asked for, or refused; the others come of it.
        size = instrument.floor_quantity(asked, market=False) or asked if number else asked
        field = "sizeFactor" if number else "quantity"
        lowest = mid * (WHOLE - offset(terms, number)) / WHOLE
        found.append(check_target(instrument, size, price=lowest, reduce_only=False, field=field))
    return found


def offset(terms: Scalper, number: int) -> Decimal:
    """How far a layer enters from the anchor, in percent."""
    assert terms.spacing_pct is not None
    return terms.base_offset_pct + terms.spacing_pct * number


def check_terms(terms: Scalper, instrument: Instrument, *, mid: Decimal) -> None:
    """What must fit together; raises Refusal."""
    furthest = offset(terms, terms.layers - 1)
    if furthest >= WHOLE:
        raise Refusal(
            Code.BAD_FIELD,
            f"the last of {terms.layers} layers would be {plain(furthest)} % away",
            field="spacingPct",
            limit=plain(WHOLE),
            actual=plain(furthest),
        )
    for field, price in (("lowPrice", terms.low_price), ("highPrice", terms.high_price)):
        if price is not None and price <= 0:
            raise Refusal(
                Code.BAD_FIELD, f"{field} must be above zero", field=field, limit=0, actual=plain(price)
            )
    low, high = terms.low_price, terms.high_price
    if low is not None and high is not None and low >= high:
        raise Refusal(
            Code.BAD_FIELD,
            f"lowPrice must be below highPrice, {plain(high)}",
            field="lowPrice",
            limit=plain(high),
            actual=plain(low),
        )
    if terms.max_exposure is not None:
        check_target(instrument, terms.max_exposure, price=mid, reduce_only=False, field="maxExposure")


def check_sides(terms: Scalper, held: Decimal, sides: tuple[str, ...]) -> None:
    """Refuse a leg that would only close what a one-way account holds already, from elsewhere."""
    if sides != (BOTH,):
        return
    for side in SIDES:
        opposite = held < 0 if side == LONG else held > 0
        if opposite and terms.legs in {"both", leg_name(side)}:
            raise Refusal(
                Code.OPPOSITE_POSITION,
                f"the account holds {plain(held)} in one-way mode, and the {side} leg would close it",
                field="legs",
                limit=0,
                actual=plain(held),
            )
