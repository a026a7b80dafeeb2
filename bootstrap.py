"""Set up `.venv`: the locked packages, the product itself and the two servers. `make` calls this.

It needs nothing but a Python with venv; a second run with nothing to do takes no time and no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".pms-setup"
RUNTIME, DEV = "requirements.lock", "requirements-dev.lock"


class CannotSetUp(Exception):
    """One line that says what is missing and the command that brings it."""


class Step:
    """A line of progress: what is being done, then how long it took."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._began = time.monotonic()
        self._live = sys.stderr.isatty()
        self.still_going() if self._live else self._write(f"  … {text}\n")

    def still_going(self) -> None:
        if self._live:
            self._write(f"\r  … {self._text} {time.monotonic() - self._began:.0f} s")

    def done(self) -> None:
        took = f"{time.monotonic() - self._began:.1f} s"
        self._write(f"\r\x1b[K  ✓ {self._text}  {took}\n" if self._live else f"  ✓ {self._text}  {took}\n")

    def failed(self) -> None:
        self._write("\n" if self._live else "")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Set up; 1 with one line on stderr when something is missing."""
    lock = DEV if "--dev" in arguments else RUNTIME
    try:
        with (ROOT / "bootstrap.py").open() as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)  # two makes at once
            set_up(lock)
    except CannotSetUp as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    except PermissionError as fault:
        sys.stderr.write(
            f"cannot write to {fault.filename}: run make as the user who owns the checkout,"
            f" or clone it into a directory of your own\n"
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; run it again to go on\n")
        return 130
    return 0


def set_up(lock: str) -> None:
    """Bring `.venv` to what the lock says; each part only if it is not so already."""
    wanted = fingerprint(lock)
    done = stamps()
    if wanted in done and PYTHON.exists():
        return
    refuse_old_python()
    if not sound_environment():
        require_venv(sys.executable)
        done = set()
        run("making .venv", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    packages = sum(line[0].isalnum() for line in (ROOT / lock).read_text().splitlines() if line)
    run(
        f"installing {packages} locked packages (the first time takes a minute)",
        [
            *(str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"),
            *("--require-hashes", "--only-binary", ":all:", "--requirement", str(ROOT / lock)),
        ],
    )
    install_product()
    run(
        "fetching the servers: Redis and PostgreSQL",
        [str(PYTHON), "-m", "pms.stack.servers"],
    )
    # The development lock holds all that the other does.
    also = {fingerprint(RUNTIME)} if lock == DEV else set()
    STAMP.write_text("\n".join(sorted(done | {wanted} | also)))


def fingerprint(lock: str) -> str:
    """What an environment made from a lock by this very interpreter is known by."""
    parts = [sys.version.encode(), str(ROOT).encode()]
    parts += [(ROOT / name).read_bytes() for name in (lock, "servers.lock", "bootstrap.py")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def stamps() -> set[str]:
    return set(STAMP.read_text().split()) if STAMP.exists() else set()


def refuse_old_python() -> None:
    """Raise CannotSetUp below 3.11."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have any Python
        raise CannotSetUp(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}:"
            " sudo apt-get install python3 python3-venv"
        )


def require_venv(python: str) -> None:
    """Raise CannotSetUp where the distribution keeps venv in a package of its own."""
    probe = [python, "-c", "import venv, ensurepip"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        of_system = python == "/usr/bin/python3"
        package = "python3-venv" if of_system else f"python3.{sys.version_info.minor}-venv"
        raise CannotSetUp(f"this Python has no venv: sudo apt-get install {package}")


def sound_environment() -> bool:
    """Whether `.venv` was made here by this version of Python and still runs."""
    if not PYTHON.exists():
        return False
    ask = "import sys, pip; print(sys.version_info[:2], sys.prefix)"
    answer = subprocess.run([str(PYTHON), "-c", ask], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == f"{sys.version_info[:2]} {VENV}"


def install_product() -> None:
    """Make `pms` importable from this checkout and give it a launcher."""
    site = next((VENV / "lib").glob("python3.*/site-packages"))
    (site / "pms-checkout.pth").write_text(f"{ROOT}\n")
    launcher = VENV / "bin" / "pms"
    # Not a `#!` of the interpreter: the kernel cuts that line, and checkouts can lie deep.
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -m pms.cli.main "$@"\n')
    launcher.chmod(0o755)


def run(text: str, command: list[str]) -> None:
    """Run one step quietly; raises CannotSetUp with its last line."""
    step = Step(text)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=ROOT
    )
    output = b""
    while True:
        try:
            output, _ = process.communicate(timeout=1)
            break
        except subprocess.TimeoutExpired:
            step.still_going()
    if process.returncode != 0:
        step.failed()
        said = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
        why = next((line for line in reversed(said) if "error" in line.lower()), said[-1] if said else "")
        raise CannotSetUp(f"{text}: failed: {why.strip()}")
    step.done()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
