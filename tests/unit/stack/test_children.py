"""One child's life, with real processes that do nothing but live or die."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pms.bus.process_id import ProcessId
from pms.stack import children
from pms.stack.children import Child, ended
from pms.stack.processes import ENGINE, ProcessPart
from pms.stack.state import Part, Stack, me, read, write

IGNORES_TERM = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


def child(
    tmp_path: Path, code: str, *, ready: bool = True, waiting: Callable[[int], object] = lambda _pid: None
) -> Child:
    return Child(
        ProcessPart(
            name="part",
            group=ENGINE,
            address="nowhere",
            log=tmp_path / "part.log",
            command=(sys.executable, "-c", code),
            environment={},
            probe=lambda pid: ready and pid > 0,
            waiting=waiting,
        )
    )


def wait(some: Child) -> None:
    while some.alive:
        time.sleep(0.01)


def test_a_death_is_told_once_with_its_cause(tmp_path: Path) -> None:
    some = child(tmp_path, "print('going'); raise SystemExit(3)")
    some.launch()
    wait(some)
    assert some.died() == "ended with code 3: going"
    some.plan_restart("ended with code 3")
    assert some.died() is None
    assert some.last_words() == ["going"]
    assert (some.status.state, some.status.restarts) == ("restarting", 1)


def test_a_killed_process_is_told_by_its_signal() -> None:
    assert ended(-9) == "was ended by SIGKILL"
    assert ended(0) == "ended with code 0"


def test_pauses_grow_to_a_limit_and_begin_anew_after_calm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = child(tmp_path, "")
    pauses = [some.plan_restart("died") for _ in range(9)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (children.FIRST_PAUSE_S, children.LONGEST_PAUSE_S)
    monkeypatch.setattr(children, "CALM_S", 0.0)
    some.launch()
    assert some.became_ready()
    assert some.plan_restart("died") == children.FIRST_PAUSE_S
    some.kill()


def test_a_child_that_is_never_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "READY_WITHIN_S", 0.0)
    some = child(tmp_path, "import time; time.sleep(60)", ready=False)
    some.launch()
    assert not some.became_ready()
    assert some.died() == "was not ready within 0 s"
    assert not some.alive


def test_a_child_that_waits_for_room_is_not_ended_until_it_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, turned_away = 1000.0, 0
    monkeypatch.setattr(children.time, "monotonic", lambda: now)
    some = child(
        tmp_path, "import time; time.sleep(60)", ready=False, waiting=lambda pid: turned_away if pid else None
    )
    some.launch()
    for _ in range(5):
        assert some.died() is None
        now, turned_away = now + children.READY_WITHIN_S - 1, turned_away + 1
    assert some.died() is None
    now += children.READY_WITHIN_S
    assert some.died() == "was not ready within 90 s"
    assert not some.alive


def test_a_program_that_is_not_there_is_a_clear_fault(tmp_path: Path) -> None:
    part = ProcessPart(
        name="part",
        group=ENGINE,
        address="",
        log=tmp_path / "part.log",
        command=(str(tmp_path / "absent"),),
        environment={},
        probe=lambda _pid: True,
    )
    fault = Child(part).restart()
    assert fault is not None
    assert fault.startswith("part cannot be started")


def test_kill_ends_what_ignores_term(tmp_path: Path) -> None:
    some = child(tmp_path, IGNORES_TERM)
    some.launch()
    while some.last_words() != ["up"]:
        assert some.alive
    some.terminate()
    some.kill()
    assert not some.alive
    some.settle()
    assert (some.status.state, some.status.process) == ("stopped", None)


def test_state_survives_the_file_and_tells_a_living_supervisor_from_a_dead_one(tmp_path: Path) -> None:
    def stack(supervisor: ProcessId) -> Stack:
        return Stack(
            supervisor=supervisor,
            started=1.5,
            version="0",
            stack_id="x",
            live=False,
            phase="ready",
            parts=[Part("redis", "/r.sock", "ready", me(), 2.5, 1, "")],
        )

    path = tmp_path / "state.json"
    assert read(path) is None
    write(path, stack(me()))
    assert read(path) == stack(me())
    assert stack(me()).running()
    reused = ProcessId(me().pid, f"{me().created}0")
    assert not stack(reused).running(), "the number alone proves nothing"
    path.write_text("{half")
    assert read(path) is None
