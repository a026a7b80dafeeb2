"""What the streamer starts from, of money: other assets, histories, open fees, moves since a funding."""

from __future__ import annotations

from entries import D, entry, fee, fill, funding, journal, position
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from pms.contract.journal import (
    AssetRow,
    IncomeRow,
    MoveRow,
    ProgressRow,
)
from pms.contract.names import HOUSE
from pms.db.fold import fold
from pms.db.load import load_state
from pms.domain.treasury import Move


def income(tran_id: int, at: int) -> IncomeRow:
    return IncomeRow(kind="TRANSFER", tran_id=tran_id, asset="USDT", symbol="", amount=D(1), at=at)


async def test_the_money_of_the_last_state_is_loaded(redis: Redis, engine: AsyncEngine) -> None:
    rows = [
        {
            "assets": (AssetRow(asset="BNB", balance=D(3), updated_at=1),),
            "incomes": (income(1, 90), income(2, 110)),
            "fees": (fee(1, None), fee(2, None)),
            "progress": (ProgressRow(name="income", at=50), ProgressRow(name="funding:BTCUSDT", at=100)),
            "fundings": (funding("alice", 100), funding(HOUSE, 100)),
            "fills": (fill(1, venue_time=100), fill(2, venue_time=101, side="SELL", quantity=D("0.5"))),
            "positions": (position(),),
        },
        {
            "assets": (AssetRow(asset="BNB", balance=D("2.5"), updated_at=2),),
            "fees": (fee(1, "600"),),
            "progress": (ProgressRow(name="income", at=100),),
            "moves": (
                MoveRow(seq=2, line=0, sub_account_id="bob", symbol="BTCUSDT", quantity=D("-0.25"), at=102),
            ),
        },
    ]
    await journal(redis, [entry(number, **more) for number, more in enumerate(rows, start=1)])
    await fold(redis, engine)
    state = await load_state(engine)
    assert [(row.asset, row.balance) for row in state.assets] == [("BNB", D("2.5"))]
    assert [row.tran_id for row in state.incomes] == [2], "from the cursor on"
    assert [row.trade_id for row in state.fees] == [2], "the open ones"
    assert {row.name: row.at for row in state.progress} == {"income": 100, "funding:BTCUSDT": 100}
    assert [row.sub_account_id for row in state.fundings] == [HOUSE]
    assert sorted(state.moves["BTCUSDT"]) == [Move(101, "alice", D("-0.5")), Move(102, "bob", D("-0.25"))]
