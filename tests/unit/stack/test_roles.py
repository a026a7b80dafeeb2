"""What is started, watched and shown as a worker's queues is what that worker takes from."""

from __future__ import annotations

import celeryconfig
from pms.contract.names import Queue
from pms.stack.processes import ROLES


def test_every_role_has_the_queues_of_its_worker() -> None:
    assert {role: list(queues) for role, queues in ROLES.items()} == celeryconfig.ROLE_QUEUES


def test_every_queue_has_one_role() -> None:
    assert sorted(queue for queues in ROLES.values() for queue in queues) == sorted(Queue.ALL)
