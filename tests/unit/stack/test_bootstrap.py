"""Set-up: what is missing is one line with a command, and the locks are what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import clients

ROOT = Path(__file__).parents[3]
PEERS = [f"benchmarks/peers/{name}.lock" for name in clients.NAMES]
LOCKS = ("requirements.lock", "requirements-dev.lock", "servers.lock", *PEERS)


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    spec = spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def requirements(lock: str) -> list[str]:
    """The lock's entries, each with its hashes on one line."""
    joined = (ROOT / lock).read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_version_and_a_hash_and_nothing_names_an_index(lock: str) -> None:
    entries = requirements(lock)
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


def test_the_development_lock_holds_all_that_the_other_does() -> None:
    def pinned(lock: str) -> set[str]:
        return {entry.split(" ")[0].lower() for entry in requirements(lock)}

    assert pinned("requirements.lock") <= pinned("requirements-dev.lock")


def test_a_missing_python_is_one_line_with_the_command() -> None:
    done = subprocess.run(
        ["make", "-s", "setup", "PYTHON="], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    first, *rest = done.stderr.strip().splitlines()
    assert "sudo apt-get install python3 python3-venv" in first
    assert all(line.startswith("make") for line in rest), "make's own word that it stopped"


def test_a_missing_venv_is_one_line_with_the_command(bootstrap: ModuleType, tmp_path: Path) -> None:
    without = tmp_path / "python3"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    with pytest.raises(bootstrap.CannotSetUp, match=r"sudo apt-get install python3\.\d+-venv"):
        bootstrap.require_venv(str(without))
    bootstrap.require_venv(sys.executable)


def test_a_second_set_up_does_nothing(bootstrap: ModuleType) -> None:
    if bootstrap.fingerprint("requirements-dev.lock") not in bootstrap.stamps():
        subprocess.run(["make", "-s", "setup-dev"], cwd=ROOT, check=True, capture_output=True)
    offline = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        ["make", "-s", "setup-dev"], cwd=ROOT, env=offline, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_wheels_switch_stands_wherever_pip_is_called() -> None:
    for caller in ("bootstrap.py", "benchmarks/clients.py", "pms/stack/servers/binaries.py"):
        text = (ROOT / caller).read_text()
        assert text.count('"pip"') == text.count('"--only-binary"') == text.count('"--require-hashes"') == 1
