"""Every recorded frame decodes; what is unknown is tolerated, what is malformed is named."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from decimal import Decimal

import pytest
import recorded_frames as recorded
from hypothesis import given
from hypothesis import strategies as st

from pms.binance import frames
from pms.binance.frames import (
    AccountConfigUpdate,
    AccountUpdate,
    AggTrade,
    AlgoUpdate,
    BookTicker,
    DepthUpdate,
    FrameError,
    Kline,
    ListenKeyExpired,
    MarginCall,
    MarketTrade,
    MarkPrice,
    OrderUpdate,
    ServerShutdown,
    SubscriptionReply,
    TradeLite,
    decode_market,
    decode_user,
)

FILL = (
    b'{"e":"ORDER_TRADE_UPDATE","T":1789000000001,"E":1789000000003,"o":{"s":"ETHUSDT","c":"abc","S":"BUY",'
    b'"o":"MARKET","f":"GTC","q":"0.02","p":"0","ap":"2317.3","sp":"0","x":"TRADE","X":"FILLED",'
    b'"i":8389765739703625592,"l":"0.02","z":"0.02","L":"2317.3","n":"0.02317300","N":"USDT",'
    b'"T":1789000000001,"t":4467432841,"b":"0","a":"0","m":true,"R":true,"wt":"CONTRACT_PRICE",'
    b'"ot":"MARKET","ps":"BOTH","cp":false,"rp":"-1.5","pP":false,"si":0,"ss":0,"V":"EXPIRE_MAKER",'
    b'"pm":"NONE","gtd":0,"er":"0"}}'
)
ACCOUNT = (
    b'{"e":"ACCOUNT_UPDATE","T":5,"E":6,"a":{"B":[{"a":"USDT","wb":"122624.12345678","cw":"100.1","bc":"-10"}],'
    b'"P":[{"s":"BTCUSDT","pa":"-0.5","ep":"61000.1","cr":"200","up":"0","mt":"cross","iw":"0","ps":"BOTH",'
    b'"ma":"USDT","bep":"0"}],"m":"WITHDRAW"}}'
)


def wrapped(frame: bytes, *, stream: str = "x@y") -> bytes:
    return b'{"stream":"' + stream.encode() + b'","data":' + frame + b"}"


@recorded.needs_recordings
@pytest.mark.parametrize("file", recorded.FILES)
def test_every_recorded_frame_decodes(file: str) -> None:
    kinds = Counter(type(decode_market(raw)) for raw in recorded.frames(file))
    expected = {
        recorded.FILES[0]: {DepthUpdate: 1148, BookTicker: 12088, MarketTrade: 2501},
        recorded.FILES[1]: {DepthUpdate: 673, BookTicker: 5692, MarketTrade: 1111},
        recorded.FILES[2]: {DepthUpdate: 764, BookTicker: 613, AggTrade: 91, Kline: 67},
    }
    assert kinds == expected[file]


@pytest.mark.parametrize("frame", [FILL, wrapped(FILL), b' {"data" : ' + FILL + b', "stream" : "k"}'])
def test_a_fill_bare_and_wrapped(frame: bytes) -> None:
    update = decode_user(frame)
    assert isinstance(update, OrderUpdate)
    assert update.order_id == 8389765739703625592
    assert (update.price, update.last_price, update.commission) == (
        Decimal(0),
        Decimal("2317.3"),
        Decimal("0.02317300"),
    )
    assert (update.trade_time, update.event_time) == (1789000000001, 1789000000003)
    assert (update.maker, update.reduce_only, update.realized_pnl) == (True, True, Decimal("-1.5"))
    assert update.expiry_reason is None


def test_an_update_without_commission_and_with_a_reason() -> None:
    frame = FILL.replace(b'"n":"0.02317300","N":"USDT",', b"").replace(b'"er":"0"', b'"er":"2"')
    update = decode_user(frame)
    assert isinstance(update, OrderUpdate)
    assert (update.commission, update.commission_asset, update.expiry_reason) == (Decimal(0), None, "2")


def test_an_account_update() -> None:
    update = decode_user(ACCOUNT)
    assert isinstance(update, AccountUpdate)
    assert (update.time, update.event_time, update.reason) == (5, 6, "WITHDRAW")
    [balance], [position] = update.balances, update.positions
    assert (balance.asset, balance.wallet, balance.change) == (
        "USDT",
        Decimal("122624.12345678"),
        Decimal(-10),
    )
    assert (position.symbol, position.quantity, position.entry_price, position.side) == (
        "BTCUSDT",
        Decimal("-0.5"),
        Decimal("61000.1"),
        "BOTH",
    )


def test_the_other_private_events() -> None:
    lite = (
        b'{"e":"TRADE_LITE","E":2,"T":1,"s":"ETHUSDT","q":"0.037","p":"2631.90","m":false,"c":"O-2024","S":"BUY",'
        b'"L":"2631.90","l":"0.037","t":4467432841,"i":8389765739703625592}'
    )
    assert isinstance(decode_user(lite), TradeLite)
    algo = decode_user(
        b'{"e":"ALGO_UPDATE","T":1,"E":2,"o":{"caid":"O","aid":1000000033225453,"at":"CONDITIONAL",'
        b'"o":"STOP_MARKET","s":"DOGEUSDT","S":"BUY","ps":"BOTH","f":"GTC","q":"38","X":"TRIGGERED",'
        b'"ai":"88937381063","ap":"0","aq":"0","act":"MARKET","tp":"0.13855","p":"0","tt":1765431097019}}'
    )
    assert isinstance(algo, AlgoUpdate)
    assert (algo.order_type, algo.child_order_id, algo.event_time) == ("STOP_MARKET", "88937381063", 2)
    leverage = decode_user(b'{"e":"ACCOUNT_CONFIG_UPDATE","E":2,"T":1,"ac":{"s":"BTCUSDT","l":25}}')
    assert leverage == AccountConfigUpdate(time=1, event_time=2, symbol="BTCUSDT", leverage=25)
    mode = decode_user(b'{"e":"ACCOUNT_CONFIG_UPDATE","E":2,"T":1,"ai":{"j":true}}')
    assert mode == AccountConfigUpdate(time=1, event_time=2, multi_assets=True)
    assert isinstance(decode_user(b'{"e":"MARGIN_CALL","E":1,"cw":"3.1","p":[{"s":"ETHUSDT"}]}'), MarginCall)
    assert isinstance(decode_user(b'{"e":"serverShutdown","E":1}'), ServerShutdown)


@pytest.mark.parametrize("at", [b"1736996475556", b'"1736996475556"'])
def test_an_expired_listen_key_is_not_kept(at: bytes) -> None:
    expired = decode_user(b'{"e":"listenKeyExpired","E":' + at + b',"listenKey":"SECRETKEY"}')
    assert isinstance(expired, ListenKeyExpired)
    assert int(expired.at) == 1736996475556
    assert "SECRETKEY" not in repr(expired)


def test_mark_price_of_a_symbol_without_funding() -> None:
    mark = decode_market(
        b'{"e":"markPriceUpdate","E":1,"s":"BTCUSDT_270326","p":"84551.1","ap":"1","P":"1","i":"2","r":"","T":0}'
    )
    assert isinstance(mark, MarkPrice)
    assert (mark.mark, mark.funding_rate) == (Decimal("84551.1"), "")


@pytest.mark.parametrize("decode", [decode_user, decode_market])
def test_answers_to_control_messages(decode: object) -> None:
    assert callable(decode)
    assert decode(b'{"result":null,"id":1}') == SubscriptionReply(id=1)
    assert decode(b'{"result":["a@depth"],"id":"u-1"}') == SubscriptionReply(id="u-1", result=["a@depth"])
    refused = decode(b'{"error":{"code":2,"msg":"Invalid request"},"id":7}')
    assert refused == SubscriptionReply(id=7, error={"code": 2, "msg": "Invalid request"})
    assert decode(b'{"code":2,"msg":"bad"}') == SubscriptionReply(id=None, error={"code": 2, "msg": "bad"})


def test_unknown_types_are_counted_and_never_unboundedly(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Counter[str] = Counter()
    monkeypatch.setattr(frames, "unknown_types", counted)
    for _ in range(2):
        assert decode_user(b'{"e":"GRID_UPDATE","E":1}') is None
        assert decode_market(wrapped(b'{"e":"forceOrder","o":{}}')) is None
    assert counted == {"GRID_UPDATE": 2, "forceOrder": 2}
    for number in range(300):
        decode_user(b'{"e":"NEW_%d"}' % number)
    assert len(counted) == frames.MAX_UNKNOWN_TYPES


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"nonsense",
        b"[1,2]",
        b"{}",
        b'{"e":7}',
        b'{"stream":"k","data":5}',
        b'{"stream":"k","data":{"e":"depthUpdate","E":1}}',
        FILL.replace(b'"q":"0.02"', b'"q":"much"'),
        FILL.replace(b'"z":"0.02"', b'"z":"NaN"'),
        FILL[:-1],
        FILL.replace(b'"abc"', b'"\xff\xfe"'),
        b'{"e":"\xff"}',
        wrapped(FILL, stream="x").replace(b'"ETHUSDT"', b'"\xc3("'),
        b'{"e":"depthUpdate","E":1,"T":1,"s":"\xff","U":1,"u":2,"pu":0,"b":[],"a":[]}',
        ACCOUNT.replace(b'"122624.12345678"', b'"Infinity"'),
        b'{"e":"depthUpdate","E":1,"T":1,"s":"B","U":1,"u":2,"pu":0,"b":[["1"]],"a":[]}',
    ],
)
def test_a_malformed_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        (decode_market if b"depthUpdate" in frame else decode_user)(frame)


def test_a_refusal_never_shows_the_listen_key() -> None:
    with pytest.raises(FrameError) as refused:
        decode_user(wrapped(b'{"e":"TRADE_LITE","E":"SECRETKEY"}', stream="SECRETKEY"))
    assert "TRADE_LITE" in str(refused.value)
    assert "SECRETKEY" not in str(refused.value)
    assert refused.value.__suppress_context__


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_frame_error(raw: bytes) -> None:
    for decode in (decode_user, decode_market):
        with suppress(FrameError):
            decode(raw)
