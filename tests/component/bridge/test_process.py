"""The bridge as a process: up, serving, and gone when told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from pms.bus.connection import connect
from pms.contract import names


async def test_the_process_beats_serves_and_ends_cleanly(redis_url: str, tmp_path: Path) -> None:
    redis = connect(redis_url, name="test", timeout_s=12)
    bridge = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pms.bridge"),
        env={**os.environ, "PMS_HOME": str(tmp_path), "PMS_REDIS_URL": redis_url},
        stderr=subprocess.PIPE,
    )
    try:
        request_id = str(uuid4())
        item = json.dumps({"requestId": request_id, "orderId": "1"})
        await redis.lpush("pms:cmd:cancel", item)
        assert await redis.blpop([names.Queue.URGENT], timeout=10)
        assert await redis.exists(names.request_key(request_id), names.ready_key("bridge")) == 2
    finally:
        bridge.send_signal(signal.SIGTERM)
        _, said = await asyncio.wait_for(bridge.communicate(), 10)
        await redis.aclose()
    assert bridge.returncode == 0, said


def test_a_missing_address_is_one_line(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PMS_")}
    bridge = subprocess.run(
        [sys.executable, "-m", "pms.bridge"],
        env={**environment, "PMS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bridge.returncode == 2
    assert bridge.stderr == "bridge: PMS_REDIS_URL is not set and no running stack was found\n"
