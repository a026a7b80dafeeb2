"""Who hangs, and who only recovers: the watchdog's judgement on made-up looks."""

from __future__ import annotations

from typing import Any

from pms.bus.process_id import ProcessId
from pms.stack.vigil import (
    DEAF_STREAMER_S,
    DEAF_WORKER_S,
    IDLE_BEAT_S,
    MERCY_S,
    MOST_KILLS,
    SILENT_RECOVERING_S,
    SILENT_S,
    SILENT_STREAMER_S,
    STUCK_WORKER_S,
    Beat,
    Look,
    Verdict,
    Vigil,
)

ORDERS = "worker-orders"


class Watch:
    """A vigil that looks once a second at parts whose beats are set by the test."""

    def __init__(self) -> None:
        self.vigil = Vigil({ORDERS: ("commands", "orders")}, "inbox")
        self.now = 100.0
        self.run_id = "r1"
        self.beats: dict[str, Beat] = {}
        self.waiting: dict[str, int] = {}
        self.hung: set[str] = set()

    def part(self, name: str, pid: int = 1, **told: Any) -> None:
        self.beats[name] = Beat(ProcessId(pid, float(pid)), "here", 0, told)

    def told(self, name: str, **told: Any) -> None:
        beat = self.beats[name]
        self.beats[name] = Beat(beat.process, beat.host, beat.count, {**beat.told, **told})

    def run(self, seconds: float, *, step: float = 1.0) -> list[Verdict]:
        """Let time go by; everything that does not hang beats."""
        found: list[Verdict] = []
        for _ in range(int(seconds / step)):
            self.now += step
            for name in self.beats.keys() - self.hung:
                beat = self.beats[name]
                self.beats[name] = Beat(beat.process, beat.host, beat.count + 1, beat.told)
            found += self.vigil.judge(Look(self.run_id, dict(self.beats), self.waiting), now=self.now)
        return found


def test_what_beats_and_has_nothing_to_do_is_left_alone() -> None:
    watch = Watch()
    watch.part("streamer", heard=0)
    watch.part(ORDERS, taken={}, finished=0, active=0)
    watch.part("bridge")
    assert watch.run(3600, step=4.0) == []


def test_a_streamer_that_stops_beating_is_ended_and_one_that_recovers_has_more_time() -> None:
    for recovering, patience in ((False, SILENT_STREAMER_S), (True, SILENT_RECOVERING_S)):
        watch = Watch()
        watch.part("streamer", pid=7, heard=0, recovering=recovering)
        watch.run(2)
        watch.hung.add("streamer")
        assert watch.run(patience - 1) == []
        (verdict,) = watch.run(3)
        assert (verdict.part, verdict.process.pid, verdict.hopeless) == ("streamer", 7, False)
        assert "heartbeat has stood still" in verdict.reason


def test_a_heartbeat_whose_key_ran_out_is_still_missed() -> None:
    watch = Watch()
    watch.part("bridge", pid=9)
    watch.run(2)
    del watch.beats["bridge"]
    (verdict,) = watch.run(SILENT_S + 2)
    assert verdict.process.pid == 9


def test_a_streamer_that_beats_and_hears_nothing_is_ended() -> None:
    watch = Watch()
    watch.part("streamer", heard=5)
    watch.waiting["inbox"] = 3
    watch.run(2)
    watch.told("streamer", heard=6)
    assert watch.run(DEAF_STREAMER_S) == [], "it heard one a moment ago"
    (verdict,) = watch.run(3)
    assert "3 messages wait" in verdict.reason


def test_a_recovering_streamer_need_not_hear() -> None:
    watch = Watch()
    watch.part("streamer", heard=0, recovering=True)
    watch.waiting["inbox"] = 500
    assert watch.run(120) == []


def test_a_worker_that_takes_nothing_is_ended_and_a_busy_one_is_not() -> None:
    watch = Watch()
    watch.part(ORDERS, taken={"orders": 10}, finished=10, active=0)
    watch.waiting["orders"] = 1
    watch.run(DEAF_WORKER_S - 2)
    watch.told(ORDERS, taken={"orders": 11}, finished=11)
    assert watch.run(DEAF_WORKER_S - 1) == [], "it took one, so it consumes"
    (verdict,) = watch.run(3)
    assert "orders" in verdict.reason
    busy = Watch()
    busy.part(ORDERS, taken={"orders": 10}, finished=0, active=16)
    busy.waiting["orders"] = 40
    assert busy.run(STUCK_WORKER_S - 1) == []
    (verdict,) = busy.run(3)
    assert "none ends" in verdict.reason


def test_a_worker_is_judged_by_the_queue_that_waits() -> None:
    """It serves the one queue and has lost the other."""
    watch = Watch()
    watch.part(ORDERS, taken={"commands": 1}, finished=1, active=0)
    watch.waiting["orders"] = 1
    (verdict,) = watch.run(DEAF_WORKER_S + 2)
    assert "waited in orders" in verdict.reason


def test_when_redis_was_away_or_restarted_all_measuring_begins_anew() -> None:
    for interrupt in ("away", "restarted", "stopped ourselves"):
        watch = Watch()
        watch.part("streamer", heard=0)
        watch.part("bridge")
        watch.run(2)
        watch.hung |= {"streamer", "bridge"}
        watch.run(SILENT_STREAMER_S - 1)
        if interrupt == "away":
            watch.vigil.blind()
        elif interrupt == "restarted":
            watch.run_id = "r2"
        else:
            watch.now += 3600
        assert watch.run(SILENT_STREAMER_S - 1) == []


def test_a_new_process_starts_with_a_clean_sheet() -> None:
    watch = Watch()
    watch.part("streamer", pid=1, heard=0)
    watch.hung.add("streamer")
    watch.run(SILENT_STREAMER_S - 1)
    watch.part("streamer", pid=2, heard=0)
    watch.hung.clear()
    assert watch.run(SILENT_STREAMER_S * 3) == []


def test_after_an_end_there_is_mercy_and_after_many_only_an_alarm() -> None:
    watch = Watch()
    watch.part("bridge")
    watch.hung.add("bridge")
    seen: list[Verdict] = []
    ended_at = 0.0
    while not seen or not seen[-1].hopeless:
        for verdict in watch.run(1):
            assert not seen or verdict.hopeless or watch.now - ended_at >= MERCY_S
            seen.append(verdict)
            ended_at = watch.now
            if not verdict.hopeless:
                watch.vigil.ended("bridge", now=watch.now)
    assert len(seen) == MOST_KILLS + 1


def test_a_clock_that_beats_and_sends_no_task_is_ended() -> None:
    watch = Watch()
    watch.part("beat", pid=5, sent=3)
    watch.run(2)
    watch.told("beat", sent=4)
    assert watch.run(IDLE_BEAT_S) == [], "it sent one a moment ago"
    (verdict,) = watch.run(3)
    assert verdict.process.pid == 5
    assert "has sent no task" in verdict.reason
    silent = Watch()
    silent.part("beat")
    assert silent.run(IDLE_BEAT_S * 3) == [], "an earlier release tells nothing of it"
