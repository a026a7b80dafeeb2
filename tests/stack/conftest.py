"""The systems that the tests of real processes run on."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from system import System


@pytest.fixture(scope="module")
def short_dirs() -> Iterator[tuple[Path, Path]]:
    """A home and a runtime directory, short enough for sockets."""
    paths = Path(tempfile.mkdtemp(prefix="pmsh-")), Path(tempfile.mkdtemp(prefix="pmsr-"))
    yield paths
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(short_dirs: tuple[Path, Path]) -> AsyncIterator[System]:
    """A whole running system with two funded sub-accounts, for one file of tests."""
    whole = System(*short_dirs)
    try:
        await whole.begin(
            "streamer",
            "worker-orders",
            "worker-urgent",
            "worker-ledger",
            "worker-schedule",
            "worker-recon",
            "beat",
        )
        for account in ("alice", "bob"):
            await whole.account(account)
        yield whole
    finally:
        await whole.end()
