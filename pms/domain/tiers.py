"""The tiers of a liquidation: at which maintenance over equity what happens, and when it may happen again.

A tier that fired is armed again once the ratio has come `rearm` below it. So an account that trembles on a
line is dealt with once; how far it got is journaled with it, and a restart in the middle goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from pms.contract import limits
from pms.contract.limits import TierRatios
from pms.domain.desk import Desk
from pms.domain.margin import Weight


class Tier(IntEnum):
    """How far an account's liquidation has come."""

    NONE = 0
    WARN = 1
    CANCEL = 2
    DELEVERAGE = 3
    TAKEOVER = 4


@dataclass(frozen=True, slots=True)
class Tiers:
    """The ratios of maintenance margin to equity at which each tier fires; they rise (`limits.TIERS`)."""

    ratios: TierRatios

    def fires_at(self, tier: Tier) -> Decimal:
        """The ratio at which a tier fires."""
        ratios = self.ratios
        return (ratios.warn, ratios.cancel, ratios.deleverage, ratios.takeover)[tier - 1]

    def armed_below(self, tier: Tier) -> Decimal:
        """The ratio below which it may fire again."""
        return self.fires_at(tier) - self.ratios.rearm

    def reached(self, weight: Weight) -> Tier:
        """The worst tier that an account of this weight has crossed."""
        for tier in (Tier.TAKEOVER, Tier.DELEVERAGE, Tier.CANCEL, Tier.WARN):
            if weight.crossed(self.fires_at(tier)):
                return tier
        return Tier.NONE

    def standing(self, weight: Weight, before: Tier, closing: Tier = Tier.NONE) -> Tier:
        """In which tier an account is now that was in `before`: one that it reached, or did not yet leave.

        What is being closed at market for a tier stays in it until that is over, wherever the price goes.
        """
        tier = before
        while tier and not weight.crossed(self.armed_below(tier)):
            tier = Tier(tier - 1)
        return max(tier, self.reached(weight), closing)

    def worse(self, tier: Tier) -> Decimal:
        """The ratio at which more is done: the next tier's, and behind a takeover the takeover's again."""
        return self.fires_at(Tier(min(tier + 1, Tier.TAKEOVER)))

    def better(self, tier: Tier) -> Decimal | None:
        """The ratio below which this tier is left."""
        return None if tier is Tier.NONE else self.armed_below(tier)


DEFAULT = Tiers(limits.TIERS.default)


def tiers_of(desk: Desk, account: str) -> Tiers:
    """The tiers that hold for a sub-account: its own, its group's, or everybody's."""
    ratios = desk.limits.of(account, limits.TIERS)
    return DEFAULT if ratios is limits.TIERS.default else Tiers(ratios)
