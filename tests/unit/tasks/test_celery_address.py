"""Celery's spelling of our Redis address: the same server, the same login, the same certificate checks."""

from __future__ import annotations

from ssl import VerifyMode
from typing import Any

import pytest
from celery import Celery

from pms.bus.connection import celery_url, connect


def both(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What broker and result backend would connect with; neither does."""
    app = Celery(broker=celery_url(url), backend=celery_url(url))
    with app.connection_for_write() as broker:
        channel = broker.transport.Channel
        made = object.__new__(channel)
        made.connection = type("Client", (), {"client": broker, "default_port": 6379})
        made.active_fanout_queues = set()
        return made._connparams(), app.backend.connparams


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("", VerifyMode.CERT_REQUIRED),
        ("?ssl_ca_certs=/ca.pem", VerifyMode.CERT_REQUIRED),
        ("?ssl_cert_reqs=required", VerifyMode.CERT_REQUIRED),
        ("?ssl_cert_reqs=optional", VerifyMode.CERT_OPTIONAL),
        ("?ssl_cert_reqs=none", VerifyMode.CERT_NONE),
    ],
)
def test_an_encrypted_address_is_taken_by_all_and_verified(query: str, mode: VerifyMode) -> None:
    url = f"rediss://:pw@h.example:6380/2{query}"
    for parameters in both(url):
        assert (parameters["host"], parameters["port"], parameters["password"]) == ("h.example", 6380, "pw")
        assert parameters["db"] == 2
        assert parameters["ssl_cert_reqs"] in {mode, None if mode is VerifyMode.CERT_NONE else mode}
    connection: Any = connect(url, name="test").connection_pool.make_connection()
    assert connection.cert_reqs == mode


def test_a_socket_keeps_its_login() -> None:
    for parameters in both("unix://u:p%40w@/run/x.sock?db=2"):
        assert (parameters["path"], parameters["db"]) == ("/run/x.sock", 2)
        assert (parameters["username"], parameters["password"]) == ("u", "p@w")
