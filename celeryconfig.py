"""The whole task topology on one page: broker, queues, routes, roles, beat schedule.

A message here is a wake-up, never the record: it may arrive once, twice, late or not at all, and
each task is right under all four. The figures behind the settings are in docs/decisions.
"""

from __future__ import annotations

from typing import Any

from kombu import Exchange
from kombu import Queue as KombuQueue

from pms.bus.connection import celery_url
from pms.config import load_settings
from pms.contract.names import Queue, Task
from pms.domain.custody import LOCAL_COMMANDS

_settings = load_settings()

# --- broker -----------------------------------------------------------------------------------------
broker_url = celery_url(_settings.redis_url or "redis://127.0.0.1:6379/0")
broker_connection_timeout = 2
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker outlives any outage; the supervisor judges its heartbeat
broker_pool_limit = 4

# --- results: only for a caller that asks for one ---------------------------------------------------
result_backend = broker_url
result_expires = 3600
task_ignore_result = True

# --- JSON only: whoever can push can run a task, and pickle would let him run anything ---------------
task_serializer = result_serializer = event_serializer = "json"
accept_content = result_accept_content = ["json"]

# --- queues: a misspelt one is an error, not a list that nobody reads --------------------------------
task_queues = [KombuQueue(name, Exchange(name, type="direct"), routing_key=name) for name in Queue.ALL]
task_default_queue = Queue.RECON
task_create_missing_queues = False
task_routes = {
    Task.TRADE: {"queue": Queue.COMMANDS},
    Task.BATCH: {"queue": Queue.COMMANDS},
    Task.AMEND: {"queue": Queue.COMMANDS},
    Task.CLOSE: {"queue": Queue.COMMANDS},
    Task.CLOSE_ALL: {"queue": Queue.COMMANDS},
    Task.PLACE: {"queue": Queue.ORDERS},
    Task.SEND_AMEND: {"queue": Queue.ORDERS},
    Task.CANCEL: {"queue": Queue.URGENT},
    Task.CANCEL_ALL: {"queue": Queue.URGENT},
    Task.FOLD: {"queue": Queue.LEDGER},
    **{command.name: {"queue": Queue.COMMANDS} for command in LOCAL_COMMANDS},
    Task.HALT: {"queue": Queue.URGENT},
    Task.CANCEL_ALGO: {"queue": Queue.URGENT},
    Task.SWEEP_REQUESTS: {"queue": Queue.SCHEDULE},
    Task.SWEEP_ALGOS: {"queue": Queue.SCHEDULE},
    Task.SNAPSHOT: {"queue": Queue.RECON},
    Task.KEEP_LISTEN_KEY: {"queue": Queue.RECON},
    Task.RECONCILE: {"queue": Queue.RECON},
    Task.PUSH_INCIDENTS: {"queue": Queue.RECON},
    Task.RISK: {"queue": Queue.RECON},
}

# --- publishing: never retried, for a retry whose first reply was lost doubles the message ------------
task_publish_retry = False

# --- time and logs ------------------------------------------------------------------------------------
enable_utc = True
timezone = "UTC"
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# --- events and remote control: for the roles that Flower shows; their idle keys expire ---------------
task_send_sent_event = False
control_queue_ttl = control_queue_expires = 300
event_queue_ttl, event_queue_expires = 5, 60

# --- beat: what was not taken expires, so that none piles up -------------------------------------------
# By the worker's clock: not sooner than two machines' clocks may differ. All of these may come twice.
beat_schedule = {
    "fold": {"task": Task.FOLD, "schedule": 2.0, "options": {"expires": 10}},
    "snapshot": {"task": Task.SNAPSHOT, "schedule": 60.0, "options": {"expires": 60}},
    "sweep-requests": {"task": Task.SWEEP_REQUESTS, "schedule": 1.0, "options": {"expires": 10}},
    "sweep-algos": {"task": Task.SWEEP_ALGOS, "schedule": 1.0, "options": {"expires": 10}},
    "reconcile": {"task": Task.RECONCILE, "schedule": 30.0, "options": {"expires": 30}},
    "push-incidents": {"task": Task.PUSH_INCIDENTS, "schedule": 2.0, "options": {"expires": 10}},
    "risk": {
        "task": Task.RISK,
        "schedule": float(_settings.risk_every_s),
        "options": {"expires": _settings.risk_every_s},
    },
    "keep-listen-key": {"task": Task.KEEP_LISTEN_KEY, "schedule": 600.0, "options": {"expires": 600}},
}
beat_schedule_filename = str(_settings.home / "run" / "beat-schedule")

# --- roles --------------------------------------------------------------------------------------------
ROLE_QUEUES = {
    "orders": [Queue.COMMANDS, Queue.ORDERS],
    "urgent": [Queue.URGENT],
    "ledger": [Queue.LEDGER],
    "schedule": [Queue.SCHEDULE],
    "recon": [Queue.RECON],
}
ROLE_CONCURRENCY = {"orders": 16, "urgent": 8, "ledger": 2, "schedule": 8, "recon": 2}
ON_THE_ORDER_PATH = {"orders", "urgent"}


def for_role(role: str) -> dict[str, Any]:
    """The settings in which one worker role differs.

    On the order path a message is taken off Redis when it is read (`ack_emulation` off): Celery then
    never doubles one, and what a killed worker loses the streamer sends a quarter second later.
    Elsewhere a message is acknowledged late and comes back. Each role has its own `unacked` keys, or
    the shortest visibility time-out of any would hold for all.
    """
    on_order_path = role in ON_THE_ORDER_PATH
    transport = {
        "client_name": f"worker-{role}",
        "ack_emulation": not on_order_path,
        "visibility_timeout": 900,
        "unacked_key": f"unacked:{role}",
        "unacked_index_key": f"unacked_index:{role}",
        "unacked_mutex_key": f"unacked_mutex:{role}",
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "health_check_interval": 5,
        "socket_timeout": 5,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
    return {
        "broker_transport_options": transport,
        "task_acks_late": not on_order_path,
        "task_reject_on_worker_lost": False,  # with late acknowledgement it loops for ever
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": not on_order_path,
        "worker_send_task_events": not on_order_path,  # costs a third of the throughput
        "worker_concurrency": ROLE_CONCURRENCY[role],
        "worker_cancel_long_running_tasks_on_connection_loss": not on_order_path,
    }
