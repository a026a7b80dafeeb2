"""The two commands as a new user runs them: a fresh checkout, set up by make from the locked wheels
alone, at a path that no socket could have."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from dotenv import dotenv_values
from redis import Redis

from pms.bus.process_id import ProcessId
from pms.stack.state import ended_within

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
PRODUCT = (
    *("pms", "celeryconfig.py", "pyproject.toml", "Makefile", "bootstrap.py"),
    *("requirements.lock", "requirements-dev.lock", "servers.lock"),
)
NO_NETWORK = ("Temporary failure in name resolution", "ConnectionError", "NewConnectionError", "timed out")
PARTS = {
    *("redis", "postgres", "venue", "streamer", "beat", "bridge", "watchdog", "flower"),
    *(f"worker-{role}" for role in ("orders", "urgent", "ledger", "schedule", "recon")),
}
GONE_WITHIN_S = 10.0


class Desk:
    """One checkout with its home, and `pms` typed in it."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.home = checkout / ".pms"
        self.python = Path(sys.executable)
        self.set_up_said = ""
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PMS_")},
            "PYTHONPATH": str(checkout),  # wins over the path file of an environment that is not its own
            "PMS_VENUE_PORT": "0",
            "PMS_FLOWER_PORT": "0",
            "PMS_SYSTEM_DIR": os.environ.get("PMS_SYSTEM_DIR", "/var/lib/pms"),
            "NO_COLOR": "1",
        }

    def set_up(self) -> None:
        """`make setup`; where no package index answers, the environment of the tests must do."""
        base = getattr(sys, "_base_executable", sys.executable)
        done = subprocess.run(
            ["make", "-s", "setup", f"PYTHON={base}"],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.set_up_said = done.stderr
        if done.returncode == 0:
            self.python = self.checkout / ".venv" / "bin" / "python"
        else:
            assert any(sign in done.stderr for sign in NO_NETWORK), done.stderr

    @property
    def own_environment(self) -> bool:
        return self.python != Path(sys.executable)

    def command(self, *words: str) -> list[str]:
        launcher = self.python.with_name("pms")
        if self.own_environment:
            return [str(launcher), *words]
        return [str(self.python), "-m", "pms.cli.main", *words]

    def pms(self, *words: str, code: int | None = 0) -> str:
        """Run to the end; what it said on both streams."""
        done = subprocess.run(
            self.command(*words),
            cwd="/",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert code in (None, done.returncode), f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def status(self) -> dict[str, Any]:
        return json.loads(self.pms("status", "--json", code=None))

    def addresses(self) -> dict[str, str]:
        return {name: value or "" for name, value in dotenv_values(self.home / "run" / "stack.env").items()}

    def deaths(self, part: str) -> str:
        """What the supervisor said about a part, and the end of the part's log."""
        said = (self.home / "logs" / "up.log").read_text().splitlines()
        log = (self.home / "logs" / f"{part}.log").read_text().splitlines()
        return "\n".join([*(line for line in said if line.startswith(part)), *log[-80:]])

    def processes(self) -> dict[str, psutil.Process]:
        return {part["name"]: psutil.Process(part["pid"]) for part in self.status()["parts"]}

    def supervisor(self) -> psutil.Process:
        return psutil.Process(self.status()["supervisor"])


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    top = Path(tempfile.mkdtemp(prefix="pms-deep-"))
    checkout = top
    while len(str(checkout)) < 150:
        checkout /= "a-directory-of-some-length"
    checkout.mkdir(parents=True)
    for name in PRODUCT:
        source = ROOT / name
        shutil.copytree(source, checkout / name) if source.is_dir() else shutil.copy(source, checkout)
    desk = Desk(checkout)
    desk.set_up()
    yield desk
    desk.pms("down")
    desk.pms("reset", "--yes")
    shutil.rmtree(top)


@pytest.fixture(scope="module")
def running(desk: Desk) -> Desk:
    """The system in the background."""
    said = desk.pms("up", "--detach")
    assert "✓ streamer" in said
    assert "Try next" in said
    table = said[said.index("part   ") : said.index("Try next")]
    assert max(map(len, table.splitlines()[: len(PARTS) + 1])) <= 80
    return desk


def identities(processes: Iterable[psutil.Process]) -> list[ProcessId]:
    return [ProcessId.of(process.pid) for process in processes]


def all_gone(processes: list[ProcessId]) -> bool:
    return all(ended_within(process, GONE_WITHIN_S) for process in processes)


def test_set_up_shows_its_steps_and_needs_no_test_extras(desk: Desk) -> None:
    if not desk.own_environment:
        pytest.skip("no package index answers")
    for step in ("making .venv", r"installing \d+ locked packages", "fetching the servers"):
        assert re.search(f"✓ {step}", desk.set_up_said), step
    for extra in ("pytest", "hypothesis", "mypy"):
        probe = subprocess.run([desk.python, "-c", f"import {extra}"], capture_output=True, check=False)
        assert probe.returncode != 0, extra


def test_every_part_is_up_and_says_so(running: Desk) -> None:
    while not (status := running.status())["healthy"]:  # ready is a streamer that leads, and then recovers
        time.sleep(0.2)
    assert {part["name"] for part in status["parts"]} == PARTS
    assert {part["state"] for part in status["parts"]} == {"ready"}
    assert set(status["queues"]) == {"commands", "orders", "urgent", "ledger", "schedule", "recon"}
    shown = running.pms("status")
    assert "commands under way" in shown
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_what_it_keeps_private_is_private(running: Desk) -> None:
    for name in ("secrets.env", "run/stack.env", "run/state.json"):
        assert stat.S_IMODE((running.home / name).stat().st_mode) == 0o600, name
    secret = running.addresses()["PMS_BINANCE_API_SECRET"]
    password = dotenv_values(running.home / "secrets.env")["PMS_FLOWER_PASSWORD"] or ""
    for process in running.processes().values():
        line = " ".join(process.cmdline())
        assert secret not in line
        assert password not in line
    logs = [path.read_text(errors="replace") for path in (running.home / "logs").glob("*.log")]
    assert not any(secret in log for log in logs)
    assert sum(log.count(password) for log in logs) == 1, "shown once, by `pms up` itself"


def test_postgres_is_not_root_and_nothing_listens_beyond_loopback(running: Desk) -> None:
    processes = running.processes()
    assert processes["postgres"].uids().real != 0
    for name, process in processes.items():
        heard = {c.laddr.ip for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        assert heard <= ({"127.0.0.1"} if name in ("venue", "flower") else set()), name


def test_a_second_up_says_that_it_runs(running: Desk) -> None:
    assert "already running" in running.pms("up", code=1)
    assert "already running" in running.pms("up", "--detach")


def test_logs_and_doctor_find_it(running: Desk) -> None:
    assert "streamer" in running.pms("logs", "streamer", "-n", "3")
    assert "there is no log of nobody" in running.pms("logs", "nobody", code=1)
    assert "✗" not in running.pms("doctor")


def test_reset_refuses_while_it_runs(running: Desk) -> None:
    assert "already running" in running.pms("reset", "--yes", code=1)
    assert "say --yes" in running.pms("reset", code=1)


def test_a_killed_part_is_started_again_and_said_so(running: Desk) -> None:
    killed, supervisor = running.processes()["worker-schedule"], running.supervisor()
    supervisor_log = running.home / "logs" / "up.log"
    killed.kill()
    while "worker-schedule is ready again" not in (said := supervisor_log.read_text()):
        assert supervisor.is_running()
        time.sleep(0.05)
    assert "worker-schedule was ended by SIGKILL; starting it again" in said
    again = next(part for part in running.status()["parts"] if part["name"] == "worker-schedule")
    assert again["restarts"] == 1
    assert again["pid"] != killed.pid


def test_a_rolling_restart_loses_no_command(running: Desk) -> None:
    """Orders go on while every part is drained and started anew; the books agree at the end."""
    running.pms("accounts", "create", "drained", "--fund", "10000")
    before = {name: process.pid for name, process in running.processes().items()}
    draining = subprocess.Popen(
        running.command("drain", "--json"),
        cwd="/",
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    answers = []
    while draining.poll() is None:
        side = ("buy", "sell")[len(answers) % 2]
        answers.append(running.pms("trade", "BTCUSDT", side, "0.01", "--account", "drained", code=None))
    assert draining.stdout is not None
    done = json.loads(draining.stdout.read())["parts"]
    drained = {name for name in PARTS if name.startswith("worker-") or name == "streamer"}
    after = {name: process.pid for name, process in running.processes().items()}
    assert set(done) == drained == {name for name, pid in before.items() if after[name] != pid}
    assert any("filled" in answer for answer in answers)
    assert not [answer for answer in answers if "nobody answered" in answer], answers
    running.pms("trade", "BTCUSDT", "buy", "0.01", "--account", "drained")
    running.pms("audit", "--settle", "20")


def part_of(running: Desk, name: str) -> dict[str, Any]:
    return next(part for part in running.status()["parts"] if part["name"] == name)


def test_f12_a_streamer_that_hangs_is_ended_and_started_again_with_its_orders(running: Desk) -> None:
    running.pms("accounts", "create", "alice", "--fund", "10000")
    redis = Redis.from_url(running.addresses()["PMS_REDIS_URL"])
    far = json.loads(redis.get("pms:price:BTCUSDT") or b"{}")["bid"] - 1000  # type: ignore[arg-type]
    said = running.pms(
        "trade", "BTCUSDT", "buy", "0.01", "--account", "alice", "--price", f"{far:.1f}", "--json"
    )
    order = json.loads(said)["orderId"]
    before = part_of(running, "streamer")
    hung = running.processes()["streamer"]
    hung.suspend()
    assert ended_within(ProcessId.of(hung.pid), 60), "the watchdog ends it"
    while not (running.status().get("health") or {}).get("admission"):
        time.sleep(0.1)
    again = part_of(running, "streamer")
    restarts = (again["restarts"], again["pid"] != hung.pid)
    assert restarts == (before["restarts"] + 1, True), running.deaths("streamer")
    log = (running.home / "logs" / "watchdog.log").read_text()
    assert "ended_what_hung" in log
    assert "its heartbeat has stood still" in log
    orders = json.loads(running.pms("orders", "--json"))
    assert [(each["clientOrderId"], each["state"]) for each in orders] == [(order, "active")]
    assert "part=streamer" in log


def test_a_halt_is_shown_in_red_and_lifted(running: Desk) -> None:
    running.pms("halt", "--reason", "a test")
    assert "HALTED ALL TRADING" in running.pms("status")
    words = ("trade", "BTCUSDT", "buy", "0.01", "--account", "alice")
    assert "HALTED" in running.pms(*words, code=1)
    assert "would be refused HALTED" in running.pms(*words, "--dry-run", code=1)
    running.pms("resume", "--reason", "over")
    assert "HALTED" not in running.pms("status")


def test_children_of_a_killed_supervisor_end(running: Desk) -> None:
    addresses = running.addresses()
    Redis.from_url(addresses["PMS_REDIS_URL"]).set("kept", "yes")
    with psycopg.connect(addresses["PMS_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE public.kept AS SELECT 1 AS n")
    children = identities(running.processes().values())
    running.supervisor().kill()
    assert all_gone(children)
    assert json.loads(running.pms("status", "--json", code=1))["running"] is False


def test_the_next_run_finds_yesterdays_data_and_ctrl_c_leaves_no_process(running: Desk) -> None:
    up = subprocess.Popen(
        running.command("up"),
        cwd="/",
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert up.stdout is not None
    said: list[str] = []
    for line in up.stdout:
        said.append(line)
        if line.startswith("Logs follow"):
            break
    assert up.poll() is None, "".join(said)
    assert not any("password" in line for line in said), "the password is shown once"
    addresses = running.addresses()
    assert Redis.from_url(addresses["PMS_REDIS_URL"]).get("kept") == b"yes"
    with psycopg.connect(addresses["PMS_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT n FROM public.kept").fetchone() == (1,)
    children = identities(psutil.Process(up.pid).children(recursive=True))
    assert len(children) > len(PARTS), "PostgreSQL's own children among them"
    up.send_signal(signal.SIGINT)
    rest, _ = up.communicate(timeout=20)
    assert up.returncode == 0, rest
    assert rest.rstrip().endswith("stopped")
    assert all_gone(children)
    assert not (running.home / "run" / "stack.env").exists()


def test_down_where_nothing_runs_says_so(desk: Desk) -> None:
    assert "nothing runs" in desk.pms("down")
    assert "`pms up` starts it" in desk.pms("status", code=1)


def test_reset_begins_anew(desk: Desk) -> None:
    said = desk.pms("reset", "--yes")
    assert f"deleted {desk.home / 'redis'}" in said
    assert not (desk.home / "redis").exists()
    assert (desk.home / "secrets.env").exists()
