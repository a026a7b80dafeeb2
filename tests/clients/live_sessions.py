"""Other people's clients, as they are published, trade a session on the venue: `make conformance`.

Not among `make test`: their environments are 80 MB off the package index. What they sent is, on tapes
(tests/component/venue/test_venue_conformance.py); `--record` makes those anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
import tape
from recorder import Recorder

from benchmarks import clients

HERE = Path(__file__).parent

SESSIONS = {"official": clients.OFFICIAL, "ccxt": "ccxt"}


@pytest.mark.parametrize("session", SESSIONS)
async def test_a_client_trades_a_whole_session(
    session: str, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    name = SESSIONS[session]
    await asyncio.to_thread(clients.install, name)
    python = clients.python(name)
    assert python is not None
    recorder = Recorder()
    seconds = pytestconfig.getoption("--conformance-seconds")
    async with recorder.venue() as venue:
        running = await asyncio.create_subprocess_exec(
            *(str(python), str(HERE / f"{session}_session.py"), venue.url, str(seconds)),
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told, complaints = await running.communicate()
    steps = [json.loads(line) for line in told.splitlines()]
    with capsys.disabled():
        for each in steps:
            sys.stdout.write(f"\n  {session}: {each.get('step', each)}")
    failed = [f"{each['step']}: {each['failed']}\n{each['where']}" for each in steps if "failed" in each]
    assert not failed, "\n".join(failed)
    assert running.returncode == 0, complaints.decode()[-4000:]
    assert steps[-1] == {"steps": len(steps) - 1}
    if pytestconfig.getoption("--record"):
        tape.write(session, recorder.entries)
