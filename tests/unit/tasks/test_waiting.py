"""A plain message is as old as it was when somebody first saw it, and older where nobody had looked."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import pytest
from kombu.transport.redis import PRIORITY_STEPS, Channel
from redis.exceptions import ConnectionError as RedisGone

from pms.tasks.waiting import BLIND_S, CHUNK, EVERY_S, Waiting

QUEUES = ["commands", "orders"]


class World:
    """Two queues, a clock, and a worker that looks each second, if it can."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lists: dict[str, list[bytes]] = {queue: [] for queue in QUEUES}
        self.waiting = Waiting(lambda: self.now)
        self.reads = 0
        self.away = False
        self.life = "one"
        self.while_read: list[str] = []

    def info(self, _: str) -> dict[str, str]:
        if self.away:
            raise RedisGone
        return {"run_id": self.life}

    def lrange(self, queue: str, first: int, last: int) -> list[bytes]:
        if self.away:
            raise RedisGone
        found = self.lists.get(queue, [])[first : last + 1]
        self.reads += bool(found)
        if self.while_read:
            self.push(*self.while_read)
            self.while_read = []
        return found

    def push(self, *task_ids: str, queue: str = "commands") -> None:
        for task_id in task_ids:
            self.lists.setdefault(queue, []).insert(0, json.dumps({"headers": {"id": task_id}}).encode())

    def look(self) -> None:
        self.waiting.look(cast(Any, self), QUEUES)

    def passes(self, seconds: float) -> None:
        """Time passes, with a look each second."""
        for _ in range(int(seconds / EVERY_S)):
            self.now += EVERY_S
            self.look()

    def takes(self) -> str:
        """Celery takes the oldest message of a queue, to hold it until a thread is free."""
        queue = next(queue for queue in self.lists if self.lists[queue])
        task_id = str(json.loads(self.lists[queue].pop())["headers"]["id"])
        self.waiting.take(task_id)
        return task_id


def started() -> World:
    world = World()
    world.look()
    return world


@pytest.mark.parametrize("queue", QUEUES)
def test_what_lay_there_at_the_first_look_is_of_unknown_age(queue: str) -> None:
    world = World()
    world.push("old", queue=queue)
    world.look()
    world.passes(3)
    assert world.waiting.waited_ms(world.takes()) is None


def test_so_is_what_is_taken_before_anybody_could_look() -> None:
    world = World()
    world.push("one")
    assert world.waiting.waited_ms(world.takes()) is None


def test_a_message_taken_at_once_has_not_waited() -> None:
    world = started()
    world.now += EVERY_S / 2
    world.push("one")
    assert world.waiting.waited_ms(world.takes()) == 0


def test_one_that_celery_holds_for_a_thread_grows_old() -> None:
    world = started()
    world.push("one")
    task_id = world.takes()
    world.passes(10)
    assert world.waiting.waited_ms(task_id) == 10_000


def test_one_that_waits_in_its_queue_does_too() -> None:
    world = started()
    world.push("one")
    world.passes(7)
    task_id = world.takes()
    world.passes(5)
    assert world.waiting.waited_ms(task_id) == 11_000


@pytest.mark.parametrize("step", PRIORITY_STEPS)
def test_so_does_one_with_a_priority_for_which_celery_has_another_list(step: int) -> None:
    lying_in = f"commands{Channel.sep}{step}" if step else "commands"
    world = started()
    world.push("one", queue=lying_in)
    world.passes(7)
    assert world.waiting.waited_ms(world.takes()) == 6_000


@pytest.mark.parametrize("encoding", ["base64", "utf-8"])
def test_so_does_one_of_celery_s_first_protocol_which_has_its_id_in_the_body(encoding: str) -> None:
    body = json.dumps({"task": "pms.trade", "id": "one", "args": [], "kwargs": {}})
    if encoding == "base64":
        body = base64.b64encode(body.encode()).decode()
    raw = json.dumps({"body": body, "headers": {}, "properties": {"body_encoding": encoding}}).encode()
    for lay_there_first, waited in ((True, None), (False, 6_000)):
        world = World() if lay_there_first else started()
        world.lists["commands"].append(raw)
        world.look() if lay_there_first else None
        world.passes(7)
        world.lists["commands"].pop()
        world.waiting.take("one")
        assert world.waiting.waited_ms("one") == waited


def test_where_nobody_looked_for_a_while_it_may_be_as_old_as_the_last_look() -> None:
    world = started()
    world.now += BLIND_S + 8
    world.push("taken", "lying")
    assert world.waiting.waited_ms(world.takes()) == (BLIND_S + 8) * 1000
    world.look()
    assert world.waiting.waited_ms(world.takes()) == (BLIND_S + 8) * 1000


def test_nor_is_the_first_look_after_that_a_witness_of_what_lay_in_our_own_socket() -> None:
    """Redis had answered a stopped worker's BRPOP: the message was in no list when somebody looked again."""
    world = started()
    world.now += 60
    world.look()
    world.waiting.take("answered while we stood still")
    assert world.waiting.waited_ms("answered while we stood still") == 60_000
    world.passes(BLIND_S + EVERY_S)
    world.waiting.take("pushed since")
    assert world.waiting.waited_ms("pushed since") == 0


def test_what_a_look_sees_behind_the_first_one_is_as_young_as_it_is() -> None:
    world = started()
    world.now += 60
    world.look()
    world.push("one")
    world.passes(1)
    assert world.waiting.waited_ms(world.takes()) == 0


def test_a_look_that_failed_saw_nothing() -> None:
    world = started()
    world.away = True
    for _ in range(5):
        world.now += EVERY_S
        with pytest.raises(RedisGone):
            world.look()
    world.away = False
    world.push("one")
    assert world.waiting.waited_ms(world.takes()) == 5 * EVERY_S * 1000


def test_what_another_life_of_redis_gives_back_is_of_unknown_age() -> None:
    """It lost its tail: the message was taken before, and refused."""
    world = started()
    world.push("one", "lying")
    world.passes(1)
    task_id = world.takes()
    world.waiting.end(task_id)
    world.life = "two"
    world.push(task_id)
    world.passes(1)
    assert [world.takes(), world.takes()] == ["lying", "one"]
    assert world.waiting.waited_ms("lying") == 1000, "it was seen before"
    assert world.waiting.waited_ms("one") is None
    world.push("new")
    world.passes(1)
    assert world.waiting.waited_ms(world.takes()) == 0


def test_one_that_was_put_back_is_as_old_as_it_was() -> None:
    world = started()
    world.push("one")
    task_id = world.takes()
    world.passes(4)
    world.push(task_id)
    world.passes(2)
    assert world.takes() == task_id
    assert world.waiting.waited_ms(task_id) == 6_000


def test_each_of_a_long_queue_is_dated_and_only_what_is_new_is_read_again() -> None:
    world = started()
    world.push(*(f"first {i}" for i in range(5 * CHUNK)))
    world.passes(1)
    world.reads = 0
    world.push(*(f"later {i}" for i in range(10)))
    world.passes(1)
    assert world.reads <= 4
    ages = [world.waiting.waited_ms(world.takes()) for _ in range(5 * CHUNK + 10)]
    assert ages == [1000] * 5 * CHUNK + [0] * 10


def test_what_is_pushed_while_a_look_reads_hides_nothing_from_it() -> None:
    world = started()
    world.push(*(f"first {i}" for i in range(3 * CHUNK)))
    world.while_read = [f"meanwhile {i}" for i in range(CHUNK)]
    world.passes(1)
    world.passes(4)
    assert world.waiting.waited_ms(world.takes()) == 4_000


def test_dates_of_what_is_gone_are_forgotten() -> None:
    world = started()
    world.push("taken", "another's")
    world.passes(1)
    world.waiting.end(world.takes())
    world.lists["commands"].clear()
    world.passes(2)
    assert (world.waiting._lying, world.waiting._taken) == ({}, {})
