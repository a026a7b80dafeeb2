"""The supervisor on small processes of the tests' own: order, patience and its end, failures."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from pms.config import Settings
from pms.db.migrate import check, head
from pms.stack import state, supervisor
from pms.stack.errors import StackError
from pms.stack.places import Places
from pms.stack.plan import Plan
from pms.stack.processes import DOORS, ENGINE, EXCHANGE, LEDGER, SERVERS, WORKERS, ProcessPart
from pms.stack.screen import Screen
from pms.stack.secrets import Secrets
from pms.stack.supervisor import AlreadyRunning, Interrupted, Supervisor, only_one

NOTE_AND_END = """
import os, signal, sys, time
def end(*_):
    open(sys.argv[2], "a").write(sys.argv[1] + " ")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
"""
READY = "import os; open(sys.argv[3], 'w').write(str(os.getpid()))\n"
STAY = "while True: time.sleep(1)\n"
STUBBORN = "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + STAY
WHEN_ALL_IS_READY = """
while '"phase": "ready"' not in open(sys.argv[4]).read(): time.sleep(0.01)
"""
INTERRUPT = "os.kill(os.getppid(), signal.SIGINT)\n" + STAY
STOPS_ITS_PARENT = NOTE_AND_END + READY + WHEN_ALL_IS_READY + INTERRUPT
DIES_ONCE = f"""
if os.path.exists(sys.argv[3]):
    open(sys.argv[2], "a").write("again ")
else:
    {READY.strip()}
{textwrap.indent(WHEN_ALL_IS_READY, "    ")}
    os.remove(os.path.join(os.path.dirname(sys.argv[4]), "..", "logs", "engine.log"))
    os._exit(7)
"""
NEEDS_ITS_SCHEMA = """
import os
from pms.db.errors import DatabaseError
from pms.db.migrate import check
try:
    check(os.environ["TRIAL_DATABASE"])
except DatabaseError as fault:
    sys.exit(f"engine: {fault}")
"""
DRAINS = """
import subprocess
import psycopg
with psycopg.connect(os.environ["TRIAL_DATABASE"]) as connection:
    connection.execute("UPDATE pms.alembic_version SET version_num = '0015'")
    connection.execute("ALTER TABLE pms.orders DROP COLUMN fees")
drain = [sys.executable, "-m", "pms.cli.main", "drain", "--role", "streamer"]
told = subprocess.run(drain, capture_output=True, text=True)
open(sys.argv[2], "a").write(f"drained:{told.returncode} ")
"""


class Trial:
    """A home, and parts that write down the order of their ends."""

    def __init__(self, tmp_path: Path, database_url: str) -> None:
        self.places = Places(tmp_path / "home", tmp_path / "system", as_root=False)
        self.places.make()
        self.ends = tmp_path / "ends"
        self.database_url = database_url
        self.parts: list[ProcessPart] = []

    def add(
        self,
        name: str,
        group: int,
        code: str = NOTE_AND_END + READY + STAY,
        *,
        environment: dict[str, str] | None = None,
    ) -> None:
        ready = self.places.run / f"{name}.ready"
        self.parts.append(
            ProcessPart(
                name=name,
                group=group,
                address=name,
                log=self.places.log_of(name),
                command=(
                    sys.executable,
                    "-c",
                    code,
                    name,
                    str(self.ends),
                    str(ready),
                    str(self.places.state),
                ),
                environment=environment or {},
                probe=lambda pid: ready.exists() and ready.read_text() == str(pid),
            )
        )

    def run(self) -> None:
        secrets = Secrets("trial", "key", SecretStr("s"), SecretStr("p"), new=False)
        plan = Plan(
            settings=Settings(home=self.places.home),
            places=self.places,
            secrets=secrets,
            parts=tuple(self.parts),
            external=(),
            addresses={"PMS_REDIS_URL": "unix:///nowhere", "PMS_DATABASE_URL": self.database_url},
            database_url=self.database_url,
        )
        with only_one(self.places):
            Supervisor(plan, Screen(), follow=True).run()

    def leftovers(self) -> list[psutil.Process]:
        return [child for child in psutil.Process().children() if str(self.ends) in child.cmdline()]


@pytest.fixture
def trial(tmp_path: Path, database_url: str) -> Iterator[Trial]:
    trial = Trial(tmp_path, database_url)
    yield trial
    if trial.places.runtime.exists():
        trial.places.runtime.rmdir()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STAGGER_S", "ENGINE_S", "TERM_S", "SERVER_GRACE_S"):
        monkeypatch.setattr(supervisor, name, 0.2)


def test_parts_end_in_the_reverse_order_of_their_start(trial: Trial) -> None:
    trial.add("server", SERVERS)
    trial.add("exchange", EXCHANGE)
    trial.add("ledger", LEDGER)
    trial.add("engine", ENGINE)
    trial.add("worker", WORKERS)
    trial.add("door", DOORS, STOPS_ITS_PARENT)
    trial.run()
    assert trial.ends.read_text().split() == ["door", "worker", "engine", "ledger", "exchange", "server"]
    assert trial.leftovers() == []
    assert not trial.places.addresses.exists()
    assert not trial.places.state.exists()


@pytest.mark.usefixtures("_impatient")
def test_what_ignores_term_is_killed_and_holds_nobody_up(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.add("server", SERVERS)
    trial.add("stubborn", WORKERS, STUBBORN)
    trial.add("door", DOORS, STOPS_ITS_PARENT)
    trial.run()
    assert "stubborn did not end in time: killed" in capsys.readouterr().out
    assert trial.ends.read_text().split() == ["door", "server"]
    assert trial.leftovers() == []


def test_a_part_that_does_not_come_up_ends_the_whole_with_its_last_words(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.add("server", SERVERS)
    trial.add("engine", ENGINE, "print('the reason'); raise SystemExit(7)")
    with pytest.raises(
        StackError, match=f"engine ended with code 7: the reason; its log is {trial.places.logs}"
    ):
        trial.run()
    assert "the reason" in capsys.readouterr().out
    assert trial.ends.read_text().split() == ["server"]
    assert trial.leftovers() == []


def test_told_to_stop_while_starting_it_stops(trial: Trial) -> None:
    trial.add("server", SERVERS)
    trial.add("never", EXCHANGE, NOTE_AND_END + INTERRUPT)
    with pytest.raises(Interrupted):
        trial.run()
    assert trial.leftovers() == []


def test_a_drain_brings_the_database_up_to_the_new_code_before_it_ends_anything(trial: Trial) -> None:
    environment = {**os.environ, "PMS_HOME": str(trial.places.home), "TRIAL_DATABASE": trial.database_url}
    engine = NOTE_AND_END + NEEDS_ITS_SCHEMA + READY + STAY
    trial.add("streamer", ENGINE, engine, environment=environment)
    door = NOTE_AND_END + READY + WHEN_ALL_IS_READY + DRAINS + INTERRUPT
    trial.add("door", DOORS, door, environment=environment)
    trial.run()
    assert trial.ends.read_text().split() == ["streamer", "drained:0", "door", "streamer"]
    assert check(trial.database_url) == head()


@pytest.mark.usefixtures("_impatient")
def test_a_part_that_cannot_start_again_says_why_where_operators_look(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    again = "import os\nif os.path.exists(sys.argv[3]): sys.exit('engine: migrate it')\n"
    trial.add(
        "engine", ENGINE, "import sys, time\n" + again + READY + WHEN_ALL_IS_READY + "sys.exit('first')"
    )
    watching = """
while "engine: migrate it" not in open(sys.argv[4]).read(): time.sleep(0.01)
"""
    trial.add("door", DOORS, NOTE_AND_END + READY + WHEN_ALL_IS_READY + watching + INTERRUPT)
    trial.run()
    assert "engine ended with code 1: engine: migrate it; starting it again" in capsys.readouterr().out


def test_a_full_disk_ends_no_part_and_not_the_order_of_their_end(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part dies, the state cannot be written, a log is gone: all else goes on, and ends in order."""
    write = state.write

    def full(path: Path, stack: state.Stack) -> None:
        if any(part.restarts for part in stack.parts):
            raise OSError(28, "No space left on device")
        write(path, stack)

    monkeypatch.setattr(state, "write", full)
    trial.add("server", SERVERS)
    trial.add("engine", ENGINE, NOTE_AND_END + DIES_ONCE + READY + STAY)
    engine_is_back = "while not os.path.exists(sys.argv[2]): time.sleep(0.01)\n"
    trial.add("door", DOORS, NOTE_AND_END + READY + engine_is_back + INTERRUPT)
    trial.run()
    assert trial.ends.read_text().split() == ["again", "door", "engine", "server"]
    assert trial.leftovers() == []
    assert capsys.readouterr().out.count("cannot be written: [Errno 28] No space left on device") == 1


def test_before_the_engine_runs_it_stands_of_which_exchange_the_books_are(trial: Trial) -> None:
    noted = (
        "import pathlib, sys\n"
        "assert pathlib.Path(sys.argv[4]).parents[1].joinpath('exchange').read_text() == 'embedded\\n'\n"
    )
    trial.add("server", SERVERS)
    trial.add("engine", ENGINE, noted + NOTE_AND_END + READY + STAY)
    trial.add("door", DOORS, STOPS_ITS_PARENT)
    trial.run()
    assert trial.ends.read_text().split()[1:] == ["engine", "server"]


def test_a_database_that_cannot_be_migrated_is_one_line(trial: Trial) -> None:
    trial.add("server", SERVERS)
    trial.database_url = "postgresql://pms@/nowhere?host=/nonexistent"
    with pytest.raises(StackError, match="the database cannot be brought up to date: PostgreSQL: "):
        trial.run()
    assert trial.leftovers() == []


def test_one_home_has_one_supervisor(trial: Trial) -> None:
    with only_one(trial.places), pytest.raises(AlreadyRunning), only_one(trial.places):
        pass
