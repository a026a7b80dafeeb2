"""`pms up`: starts every part, keeps it running, and leaves nothing behind.

One thread, no event loop: children are tied to the thread that starts them, and here it is the only one.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

import psutil

from pms import __version__
from pms.db.errors import DatabaseError
from pms.db.migrate import upgrade
from pms.stack import belonging, processes, state
from pms.stack.children import Child
from pms.stack.errors import StackError
from pms.stack.logs import Tail, cut
from pms.stack.places import Places
from pms.stack.plan import Plan
from pms.stack.screen import Screen
from pms.stack.secrets import write_private

STAGGER_S = 1.0
"""How long one group has before the next is told to end too."""
ENGINE_S = 2.5
"""How long the engine has, which journals to its last moment, before the ledger takes up the rest."""
TERM_S = 6.0
"""From the first TERM to the first KILL."""
SERVER_GRACE_S = 3.0
TICK_S = 0.1
CUT_EVERY_S = 10.0
_STATE = "what `pms status` reads cannot be written"


class AlreadyRunning(StackError):
    """Another `pms up` holds this home."""


class Interrupted(Exception):
    """Told to stop before everything was up."""


class Supervisor:
    """One run of the whole system; `run` returns when it was told to stop and everything has."""

    def __init__(self, plan: Plan, screen: Screen, *, follow: bool) -> None:
        self._plan = plan
        self._places = plan.places
        self._screen = screen
        self._follow = follow
        self._children = [Child(part) for part in plan.parts]
        self._stops = 0
        self._wake, self._waker = socket.socketpair()
        self._tails: dict[str, Tail] = {}
        self._cut_due = 0.0
        self._faults: dict[str, str] = {}
        self._stack = state.Stack(
            supervisor=state.me(),
            started=time.time(),
            version=__version__,
            stack_id=plan.secrets.stack_id,
            live=plan.settings.real_money,
            phase="starting",
            parts=[*plan.external, *(child.status for child in self._children)],
        )

    def run(self) -> None:
        """Start, watch, stop. Raises StackError when a part does not come up, Interrupted if told so."""
        with self._signals():
            try:
                self._end_leftovers()
                self._start(before=processes.LEDGER)
                self._migrate()
                belonging.note(self._plan.settings, self._places)
                write_private(self._places.addresses, self._plan.for_other_terminals())
                self._start(before=processes.DOORS + 1)
                self._watch()
            finally:
                self._stop()

    def _start(self, *, before: int) -> None:
        """Start every part of the groups below `before` that is not up, and wait until each is ready."""
        waited = [c for c in self._children if c.part.group < before and c.status.state == "waiting"]
        self._screen.say(f"starting {', '.join(child.part.name for child in waited)}", style="dim")
        for child in waited:
            self._launch(child)
        self._publish()
        while waiting := [c for c in waited if c.status.state == "starting"]:
            for child in waiting:
                if child.became_ready():
                    self._screen.step(child.part.name, "ready", child.took_s)
                    self._publish()
                elif why := child.died():
                    self._give_up(child, why)
            self._doze(TICK_S / 2)
            if self._stops:
                raise Interrupted

    def _launch(self, child: Child) -> None:
        try:
            child.launch()
        except StackError:
            child.fail()
            raise

    def _give_up(self, child: Child, why: str) -> None:
        child.fail()
        for line in child.last_words():
            self._screen.log(child.part.name, line)
        raise StackError(f"{child.part.name} {why}; its log is {child.part.log}")

    def _migrate(self) -> None:
        began = time.monotonic()
        try:
            revision = upgrade(self._plan.database_url)
        except DatabaseError as fault:
            raise StackError(f"the database cannot be brought up to date: {fault}") from None
        self._screen.step("migrations", f"at {revision}", time.monotonic() - began)

    def _watch(self) -> None:
        """Everything is up: say so, then keep it so until told to stop."""
        self._stack.phase = "ready"
        self._welcome()
        self._publish()  # after the welcome: who waits for this in another process shows it first
        self._tails = {child.part.name: Tail.from_end(child.part.log) for child in self._children}
        while not self._stops:
            for child in self._children:
                self._look_after(child)
            if self._follow:
                self._show_logs()
            self._cut_logs()
            if _STATE in self._faults:
                self._publish()
            self._doze(TICK_S)

    def _look_after(self, child: Child) -> None:
        name = child.part.name
        if child.restart_at is not None:
            if time.monotonic() >= child.restart_at:
                fault = child.restart()
                if fault is not None:
                    self._say_restart(child, fault)
                self._publish()
        elif child.became_ready():
            self._screen.say(f"{name} is ready again", style="green")
            self._publish()
        elif why := child.died():
            self._say_restart(child, why)
            self._publish()

    def _say_restart(self, child: Child, why: str) -> None:
        pause = child.plan_restart(why)
        self._screen.say(
            f"{child.part.name} {why}; starting it again in {pause:g} s (restart {child.status.restarts})",
            style="bold yellow",
        )

    def _stop(self) -> None:
        """TERM in reverse order, KILL what does not end in time; within 10 s all are gone."""
        self._stack.phase = "stopping"
        self._publish()
        if any(child.alive for child in self._children):
            self._screen.say("stopping (Ctrl-C again: at once)", style="dim")
        self._stops = 0
        began = time.monotonic()
        apps = [child for child in self._children if child.part.group != processes.SERVERS]
        for group in sorted({child.part.group for child in apps}, reverse=True):
            members = [child for child in reversed(apps) if child.part.group == group]
            for child in members:
                child.terminate()
            patience_s = ENGINE_S if group == processes.ENGINE else STAGGER_S
            self._await_end(members, time.monotonic() + patience_s)
        self._await_end(apps, began + TERM_S)
        self._settle(apps)
        servers = [child for child in reversed(self._children) if child.part.group == processes.SERVERS]
        for child in servers:
            child.terminate()
        self._await_end(servers, time.monotonic() + SERVER_GRACE_S)
        self._settle(servers)
        self._places.addresses.unlink(missing_ok=True)
        self._places.state.unlink(missing_ok=True)
        for directory in (self._places.runtime, self._places.postgres_runtime):
            with suppress(OSError):  # not empty: an external program's, or a socket of a killed server
                directory.rmdir()

    def _await_end(self, members: list[Child], deadline: float) -> None:
        while any(child.alive for child in members) and time.monotonic() < deadline and not self._stops:
            self._doze(TICK_S)

    def _settle(self, members: list[Child]) -> None:
        """Kill what still lives; note that all have ended."""
        for child in members:
            if child.alive:
                self._screen.say(f"  {child.part.name} did not end in time: killed", style="yellow")
                child.kill()
            child.settle()
        self._publish()

    def _end_leftovers(self) -> None:
        """End what an earlier run that was killed may have left; the servers' own locks see to them."""
        earlier = state.read(self._places.state)
        if earlier is None:
            return
        self._places.addresses.unlink(missing_ok=True)
        mine = {child.part.name for child in self._children if isinstance(child.part, processes.ProcessPart)}
        left = [
            part.process
            for part in earlier.parts
            if part.name in mine and part.process and part.process.living()
        ]
        for process in left:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(process.pid).kill()
        for process in left:
            state.ended_within(process, TERM_S)
        if left:
            self._screen.say(f"ended {len(left)} processes that an earlier run left behind", style="yellow")

    def _welcome(self) -> None:
        plan = self._plan
        self._screen.say("")
        self._screen.table(self._stack.parts)
        self._screen.say("")
        self._screen.live(plan.settings)
        if plan.secrets.new and plan.settings.flower_password is None:
            password = plan.secrets.flower_password.get_secret_value()
            self._screen.say(
                f"Flower: user pms, password {password} (shown once; kept in {self._places.secrets})",
                style="bold",
            )
        self._screen.say("Try next, in another terminal:")
        for hint in (
            "pms accounts create alice --fund 10000",
            "pms trade BTCUSDT buy 0.01 --account alice",
            "pms watch          events and prices as they happen",
            "pms status         parts, queues, health",
        ):
            self._screen.say(f"  {hint}")
        self._screen.say("(`pms` is .venv/bin/pms of the checkout.)", style="dim")
        if self._follow:
            self._screen.say("Logs follow; Ctrl-C stops everything.", style="dim")

    def _show_logs(self) -> None:
        for name, tail in self._tails.items():
            with self._not_worth_a_stop(f"the log of {name} cannot be followed"):
                for line in tail.lines():
                    self._screen.log(name, line)

    def _cut_logs(self) -> None:
        if time.monotonic() >= self._cut_due:
            self._cut_due = time.monotonic() + CUT_EVERY_S
            for child in self._children:
                with self._not_worth_a_stop(f"{child.part.log} cannot be cut"):
                    cut(child.part.log)

    def _publish(self) -> None:
        with self._not_worth_a_stop(_STATE):
            state.write(self._places.state, self._stack)

    @contextmanager
    def _not_worth_a_stop(self, what: str) -> Iterator[None]:
        """Go on without what no part needs, such as on a full disk; each fault is said once until it is over.

        If it were raised, we would end, and every part with us.
        """
        try:
            yield
        except OSError as fault:
            if self._faults.get(what) != str(fault):
                self._screen.say(f"{what}: {fault}", style="bold red")
            self._faults[what] = str(fault)
        else:
            self._faults.pop(what, None)

    def _doze(self, seconds: float) -> None:
        """Wait for a signal, a child's death among them, or for the time to pass."""
        if select.select([self._wake], [], [], seconds)[0]:
            self._wake.recv(4096)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn signals into a flag and a wake-up; nothing is interrupted half-way."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stops += 1

        def child_ended(_number: int, _frame: FrameType | None) -> None:
            pass

        self._wake.setblocking(False)
        self._waker.setblocking(False)
        with ExitStack() as restore:
            earlier = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
            restore.callback(signal.set_wakeup_fd, earlier)
            for number, handler in (
                (signal.SIGINT, stop),
                (signal.SIGTERM, stop),
                (signal.SIGHUP, stop),
                (signal.SIGCHLD, child_ended),
            ):
                restore.callback(signal.signal, number, signal.signal(number, handler))
            yield


@contextmanager
def only_one(places: Places) -> Iterator[None]:
    """Hold the home; raises AlreadyRunning if another `pms up` does. The kernel lets go when we die."""
    descriptor = os.open(places.run / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = state.read(places.state)
            who = f" (process {found.supervisor.pid})" if found else ""
            raise AlreadyRunning(
                f"it is already running{who}: `pms status` shows it, `pms down` stops it"
            ) from None
        yield
    finally:
        os.close(descriptor)
