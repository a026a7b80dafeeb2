"""In CI a silent skip is a failure; elsewhere it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ALLOWED = {
    "test_absent.py": "import pytest\ndef test_it():\n    pytest.skip('no ../shared: no recordings')\n",
    "test_node.py": "import pytest\npytest.skip('no node', allow_module_level=True)\n",
    "test_passes.py": "def test_it():\n    pass\n",
}
REFUSED = {
    "test_slow.py": "import pytest\ndef test_it():\n    pytest.skip('too slow today')\n",
    "test_tool.py": "import pytest\npytest.skip('no compiler', allow_module_level=True)\n",
}


def run(directory: Path, files: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(TESTS / "conftest.py", directory)
    for name, text in files.items():
        (directory / name).write_text(text)
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={directory}", directory],
        cwd=TESTS.parent,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_in_ci_a_skip_without_an_allowed_reason_fails_the_run_and_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, ALLOWED | REFUSED, CI="1")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    refused = [line for line in done.stdout.splitlines() if line.startswith("SKIP NOT ALLOWED IN CI")]
    assert len(refused) == len(REFUSED)
    assert "too slow today" in "".join(refused)
    assert "no compiler" in "".join(refused)


def test_in_ci_what_may_be_absent_may_be_skipped(tmp_path: Path) -> None:
    assert run(tmp_path, ALLOWED, CI="1").returncode == pytest.ExitCode.OK


def test_elsewhere_any_skip_passes(tmp_path: Path) -> None:
    assert run(tmp_path, ALLOWED | REFUSED).returncode == pytest.ExitCode.OK
