"""API keys as an operator makes and revokes them, what each may do; commission rates by account."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from decimal import Decimal as D
from typing import Any

import aiohttp
from venue_client import VenueClient, user_stream

from pms.venue.app import AccountSpec, VenueConfig, serve
from pms.venue.journal import FileJournal
from pms.venue.state import ApiKey
from pms.venue.store.compaction import compact
from pms.venue.store.files import StateDirectory


def _failed(error: OSError) -> None:
    raise AssertionError(error)


ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


async def made(client: VenueClient, **body: Any) -> VenueClient:
    key = await client.admin("POST", "keys", {"account": "demo", **body})
    return VenueClient(client.session, client.url, key["apiKey"], key["secretKey"])


async def refused(client: VenueClient, method: str, what: str, body: Any) -> str:
    async with client.session.request(method, f"{client.url}/venue/admin/{what}", json=body) as answer:
        assert answer.status == 400
        return str((await answer.json())["error"])


async def test_a_key_that_may_only_look_changes_nothing(client: VenueClient) -> None:
    reader = await made(client, canTrade=False)
    assert (await reader.ok("GET", "/fapi/v2/balance"))[0]["balance"] == "100000.00000000"
    resting = await client.limit("BUY", "59000", "0.1")
    mine = {"symbol": "BTCUSDT", "orderId": resting["orderId"]}
    for method, path, params in (
        ("POST", "/fapi/v1/order", ORDER),
        ("POST", "/fapi/v1/order/test", ORDER),
        ("PUT", "/fapi/v1/order", {**mine, "side": "BUY", "quantity": "0.2", "price": "59000"}),
        ("DELETE", "/fapi/v1/order", mine),
        ("DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}),
        ("POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 3}),
        ("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}),
    ):
        status, body = await reader.call(method, path, **params)
        assert (status, body["code"]) == (401, -2015), path
    assert (await reader.ok("GET", "/fapi/v1/order", **mine))["origQty"] == "0.100"
    # Its user stream is a way of looking, too.
    stream = await user_stream(reader)
    await client.market("BUY", "0.01")
    assert (await stream.next())["e"] == "TRADE_LITE"


async def test_a_wrong_signature_is_told_before_what_a_key_may(client: VenueClient) -> None:
    reader = await made(client, canTrade=False)
    stranger = VenueClient(client.session, client.url, reader.key, "x")
    assert await stranger.code("POST", "/fapi/v1/order", **ORDER) == -1022


async def test_many_keys_share_an_account_and_a_revoked_one_opens_nothing(client: VenueClient) -> None:
    second = await made(client)
    await second.ok("POST", "/fapi/v1/order", **ORDER)
    assert len(await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")) == 1
    listed = (await client.admin("GET", "keys"))["keys"]
    assert [(row["account"], row["apiKey"], row["canTrade"], row["revoked"]) for row in listed] == [
        ("demo", "KEY", True, False),
        ("other", "KEY2", True, False),
        ("demo", second.key, True, False),
    ]
    assert second.secret not in json.dumps(listed)
    assert await client.admin("DELETE", "keys", {"apiKey": second.key}) == {}
    assert await second.code("GET", "/fapi/v2/balance") == -2015
    assert (await client.admin("GET", "keys"))["keys"][-1]["revoked"] is True
    await client.ok("GET", "/fapi/v2/balance")
    assert "apiKey" in await refused(client, "DELETE", "keys", {"apiKey": second.key})
    assert "account" in await refused(client, "POST", "keys", {"account": "nobody"})
    assert "canTrade" in await refused(client, "POST", "keys", {"account": "demo", "canTrade": "no"})


async def test_a_session_that_logged_on_ends_with_its_key(client: VenueClient) -> None:
    key = await made(client)
    socket = await client.session.ws_connect(f"{client.url}/ws-fapi/v1")

    async def ask(method: str, **params: Any) -> Any:
        await socket.send_json({"id": 1, "method": method, "params": params})
        return await socket.receive_json()

    params = {"apiKey": key.key, "timestamp": int(time.time() * 1000)}
    payload = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    signature = hmac.new(key.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    assert (await ask("session.logon", **params, signature=signature))["status"] == 200
    balance = {"timestamp": int(time.time() * 1000)}
    assert (await ask("account.balance", **balance))["status"] == 200
    await client.admin("DELETE", "keys", {"apiKey": key.key})
    answer = await ask("account.balance", **balance)
    assert (answer["status"], answer["error"]["code"]) == (401, -2015)
    await socket.close()


async def test_keys_survive_the_process_and_their_secrets_only_there(
    start, session: aiohttp.ClientSession, tmp_path
) -> None:
    accounts = (AccountSpec.parse("demo:KEY:SECRET:100000"), AccountSpec.parse("demo:KEY3:SECRET3:1"))
    config = VenueConfig(port=0, accounts=accounts, market="none", limits="off", state=tmp_path)
    first = await serve(config)
    client = VenueClient(session, first.url)
    kept, ended = await made(client), await made(client, canTrade=False)
    await client.admin("DELETE", "keys", {"apiKey": ended.key})
    await client.admin("DELETE", "keys", {"apiKey": "KEY3"})
    await first.close()
    second = VenueClient(session, (await start(accounts=accounts, state=tmp_path)).url)
    for key, secret, code in (
        (kept.key, kept.secret, None),
        (ended.key, ended.secret, -2015),
        # Also named by who starts the venue: revoked is revoked.
        ("KEY3", "SECRET3", -2015),
    ):
        asking = VenueClient(session, second.url, key, secret)
        status, body = await asking.call("GET", "/fapi/v2/balance")
        assert (status, body["code"] if code else None) == (401 if code else 200, code)


def test_a_snapshot_holds_no_secret_of_a_key_that_was_revoked(tmp_path) -> None:
    journal = FileJournal(tmp_path, failed=_failed)
    journal.restore()
    for key in ("KEPT", "ENDED"):
        journal.append([ApiKey(account="a", key=key, secret=f"{key} SECRET", created=1)])
    journal.append([ApiKey(account="a", key="ENDED", secret="", created=1, revoked=True)])
    journal.cut()
    journal.close()
    compact(StateDirectory(tmp_path), now=2)
    (snapshot,) = tmp_path.glob("venue.snapshot.*")
    assert b"KEPT SECRET" in snapshot.read_bytes()
    assert b"ENDED SECRET" not in snapshot.read_bytes()


def test_a_key_s_secret_never_shows() -> None:
    assert "HIDDEN" not in repr(ApiKey(account="a", key="K", secret="HIDDEN", created=0))


async def test_an_account_s_own_rates_are_told_and_charged_and_a_rebate_is_paid(
    client: VenueClient, other: VenueClient
) -> None:
    own = {"account": "demo", "maker": "-0.0001", "taker": "0.0004"}
    assert await client.admin("POST", "commission", own) == own
    rates = await client.ok("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert (rates["makerCommissionRate"], rates["takerCommissionRate"]) == ("-0.0001", "0.0004")
    assert (await other.ok("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT"))[
        "makerCommissionRate"
    ] == "0.0002"
    await client.admin("POST", "deposit", {"account": "demo", "asset": "BNB", "amount": "1"})
    await client.ok("POST", "/fapi/v1/feeBurn", feeBurn="true")
    await client.limit("BUY", "60000.0", "0.1")
    before = D((await client.ok("GET", "/fapi/v2/balance"))[0]["balance"])
    await other.market("SELL", "0.1")
    (trade,) = await client.ok("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert (D(trade["commission"]), trade["commissionAsset"], trade["maker"]) == (D("-0.6"), "USDT", True)
    (row,) = await client.ok("GET", "/fapi/v1/income", incomeType="COMMISSION")
    assert D(row["income"]) == D("0.6")
    assert D((await client.ok("GET", "/fapi/v2/balance"))[0]["balance"]) == before + D("0.6")
    (position,) = await client.ok("GET", "/fapi/v3/positionRisk")
    assert D(position["breakEvenPrice"]) == 60_000 - 6
    back = await client.admin("POST", "commission", {"account": "demo"})
    assert (back["maker"], back["taker"]) == ("0.0002", "0.0005")


async def test_rates_that_make_no_sense_are_refused(client: VenueClient) -> None:
    for rates, named in (
        ({"maker": 0.1}, "maker"),
        ({"maker": "-0.2"}, "maker"),
        ({"taker": "-0.0001"}, "taker"),
        ({"taker": "0.000000001"}, "taker"),
        ({"taker": "NaN"}, "taker"),
    ):
        error = await refused(client, "POST", "commission", {"account": "demo", **rates})
        assert error.startswith(named)
    rates = await client.ok("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    assert (rates["makerCommissionRate"], rates["takerCommissionRate"]) == ("0.0002", "0.0005")
