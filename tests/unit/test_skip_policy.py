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
IN_A_TEST = {"test_slow.py": "import pytest\ndef test_it():\n    pytest.skip('too slow today')\n"}
IN_A_MODULE = {"test_tool.py": "import pytest\npytest.skip('no compiler', allow_module_level=True)\n"}


def run(
    directory: Path, files: dict[str, str], *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    shutil.copy(TESTS / "conftest.py", directory)
    for name, text in files.items():
        (directory / name).write_text(text)
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--rootdir={directory}",
            *options,
            directory,
        ],
        cwd=TESTS.parent,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("lanes", [(), ("-n", "2", "--dist", "loadscope")], ids=["one", "two"])
@pytest.mark.parametrize(
    ("files", "reason"), [(IN_A_TEST, "too slow today"), (IN_A_MODULE, "no compiler")], ids=["test", "module"]
)
def test_in_ci_a_skip_without_an_allowed_reason_fails_the_run_and_is_named(
    tmp_path: Path, files: dict[str, str], reason: str, lanes: tuple[str, ...]
) -> None:
    done = run(tmp_path, ALLOWED | files, *lanes, CI="1")
    assert done.returncode != pytest.ExitCode.OK
    assert "SKIP NOT ALLOWED IN CI" in done.stdout
    assert reason in done.stdout


def test_in_ci_what_may_be_absent_may_be_skipped(tmp_path: Path) -> None:
    assert run(tmp_path, ALLOWED, CI="1").returncode == pytest.ExitCode.OK


def test_elsewhere_any_skip_passes(tmp_path: Path) -> None:
    assert run(tmp_path, ALLOWED | IN_A_TEST | IN_A_MODULE).returncode == pytest.ExitCode.OK
