"""How long a start takes with 100,000 orders of history: from snapshot and archive to a desk that stands.

Beside it the floor: reading the same snapshot's rows bare, without checksum, desk or archive. The tail is
what a minute of trading leaves behind the last snapshot. PostgreSQL is not there at all; a third series
starts from it instead, for comparison.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.samples import Progress, ratio
from pms.archive.reader import Reader
from pms.archive.records import Record
from pms.archive.writer import Writer
from pms.bus.connection import connect
from pms.bus.journal import Journal
from pms.contract.journal import (
    FORMAT,
    CommandRow,
    Entry,
    FillRow,
    OrderRow,
    Rows,
    SubAccountRow,
    encode_entry,
)
from pms.contract.money import encode
from pms.contract.results import Result
from pms.db.engine import create
from pms.db.errors import Unreachable
from pms.db.load import LoadedState, applied_seq, load_state
from pms.db.migrate import upgrade
from pms.domain.desk import Desk
from pms.flows.drain import Archive, drain
from pms.flows.snapshot import snapshot
from pms.log import configure
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis
from pms.streamer.books import Database, read_books
from pms.streamer.start import load_desk

ORDERS, TAIL, BATCH = 99_000, 1_000, 2_000
AT = 1_800_000_000_000


async def run() -> dict[str, Any]:
    """Measure; returns the figures."""
    configure("bench", level="ERROR")
    progress, home = Progress(), _home()
    redis_server = EmbeddedRedis(data_dir=home / "redis", runtime_dir=home / "r", appendfsync="everysec")
    postgres = EmbeddedPostgres(data_dir=home / "postgres", runtime_dir=home / "p", settings={"fsync": "off"})
    try:
        with redis_server, postgres:
            upgrade(postgres.url)
            return await _measure(home, redis_server.url, postgres.url, progress)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _home() -> Path:
    """A short directory that PostgreSQL's user can enter."""
    home = Path(tempfile.mkdtemp(prefix="pms-bench-", dir="/tmp"))
    home.chmod(0o711)
    return home


async def _measure(home: Path, redis_url: str, address: str, progress: Progress) -> dict[str, Any]:
    archive = Archive(Writer(home / "archive"), Reader(home / "archive"))
    redis, engine = (
        connect(redis_url, name="bench"),
        create(address, name="bench", statement_timeout_ms=60_000),
    )

    async def away() -> Any:
        raise Unreachable.__new__(Unreachable)

    async def applied() -> int:
        return await applied_seq(engine)

    async def load() -> LoadedState:
        return await load_state(engine)

    async def start(database: Database, directory: Path) -> Desk:
        state = await read_books(directory, database, sleep=asyncio.sleep, forgot=False)
        desk = Desk(epoch="bench")
        await load_desk(desk, state=state, journal=Journal(redis, nonce="bench"), now_us=AT * 1000)
        return desk

    async def bare() -> None:
        (path,) = (home / "archive" / "state").glob("*.state")
        msgspec.msgpack.decode(path.read_bytes().partition(b"\n")[2], type=LoadedState)

    progress.say(f"writing {ORDERS} orders, their fills and commands")
    await asyncio.to_thread(_write, archive.writer, 1, ORDERS)
    await _fold(redis, engine, archive)
    await snapshot(engine, home / "archive")
    await asyncio.to_thread(_write, archive.writer, ORDERS + 1, ORDERS + TAIL)
    progress.say("starting")
    desk = await start(Database(away, away), home / "archive")
    assert len(desk.orders) == ORDERS + TAIL, len(desk.orders)
    floor, _ = await _best(bare)
    books, cpu = await _best(lambda: start(Database(away, away), home / "archive"))
    database, _ = await _best(lambda: start(Database(applied, load), home / "nothing"), turns=1)
    await redis.aclose()
    await engine.dispose()
    return {
        "name": "start",
        "n": ORDERS + TAIL,
        "unit": "s",
        "start": round(books, 2),
        "floor": round(floor, 2),
        "ratio": ratio(books, floor),
        "cpu": round(cpu, 2),
        "from_postgres": round(database, 2),
    }


async def _fold(redis: Any, engine: Any, archive: Archive) -> None:
    """Fold the archive as after a restore: Redis has nothing."""
    await redis.set("pms:journal:archived", ORDERS)
    while await drain(redis, engine, archive=archive):
        pass


async def _best(work: Callable[[], Awaitable[Any]], *, turns: int = 3) -> tuple[float, float]:
    """The best of some turns, in seconds, and of the processor's own: the others measure the neighbours."""
    taken = []
    for _ in range(turns):
        began, busy = time.monotonic(), time.process_time()
        await work()
        taken.append((time.monotonic() - began, time.process_time() - busy))
    return min(wall for wall, _ in taken), min(cpu for _, cpu in taken)


def _write(writer: Writer, first: int, last: int) -> None:
    with writer.held():
        for begin in range(first, last + 1, BATCH):
            writer.append([_record(seq) for seq in range(begin, min(begin + BATCH, last + 1))])


def _record(seq: int) -> Record:
    entry = Entry(v=FORMAT, seq=seq, prev=seq - 1, at=AT, kind="fill", rows=_rows(seq))
    return Record(seq, seq - 1, encode_entry(entry))


def _rows(seq: int) -> Rows:
    """A market order that was admitted and filled, as the journal has it."""
    request, client = f"00000000-0000-4000-8000-{seq:012d}", f"PMS_account1_M_{seq}"
    price, quantity = Decimal("60000.10"), Decimal("0.010")
    order = OrderRow(
        client_order_id=client,
        sub_account_id="account1",
        symbol="BTCUSDT",
        side="BUY",
        type="MARKET",
        quantity=quantity,
        price=None,
        time_in_force=None,
        reduce_only=False,
        leverage=20,
        origin="MANUAL",
        parent_id=None,
        request_id=request,
        state="filled",
        reason=None,
        exchange_order_id=seq,
        filled_qty=quantity,
        filled_quote=quantity * price,
        cancel_wanted=False,
        epoch="e",
        deadline=AT,
        admitted_at=AT,
        updated_at=AT,
    )
    fill = FillRow(
        symbol="BTCUSDT",
        exchange_order_id=seq,
        trade_id=seq,
        client_order_id=client,
        sub_account_id="account1",
        side="BUY",
        price=price,
        quantity=quantity,
        commission=Decimal("0.30"),
        commission_asset="USDT",
        realized_pnl=Decimal(0),
        venue_realized_pnl=Decimal(0),
        maker=False,
        venue_time=AT,
    )
    answer = Result(success=True, request_id=request, command="pms.trade", order_id=client, state="placing")
    command = CommandRow(
        request_id=request,
        command="pms.trade",
        sub_account_id="account1",
        text=f'{{"requestId":"{request}","symbol":"BTCUSDT","side":"BUY","quantity":"0.010","leverage":20}}',
        decision="admitted",
        code=None,
        client_order_id=client,
        answer=encode(answer).decode(),
        received_at=AT,
        decided_at=AT,
    )
    account = SubAccountRow(id="account1", label="", status="ACTIVE", balance=Decimal(seq), created_at=AT)
    return Rows(sub_accounts=(account,), orders=(order,), fills=(fill,), commands=(command,))
