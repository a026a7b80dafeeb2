"""Environments for other people's clients: `make clients` makes one in `.clients/` for each, from its lock.

`pms bench` never installs: some of them are hundreds of megabytes, and it has fifty seconds.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from pathlib import Path

import bootstrap

CLIENTS = bootstrap.ROOT / ".clients"
LOCKS = Path(__file__).parent / "peers"
BOOKS = ("order_book", "nautilus_trader", "ccxt", "cryptofeed")
"""Those whose order book `bench ticks` runs."""
OFFICIAL = "binance_sdk_derivatives_trading_usds_futures"
MATCHERS = ("bourse", "numba", "lightmatchingengine", "pyorderbook")
"""Those that `bench matching` lets match orders; numba compiles an engine of ours."""
NAMES = (*BOOKS, *MATCHERS, OFFICIAL)
HOW = "make clients"


def main(arguments: list[str]) -> int:
    """Install the named peers, or all; 1 if one cannot be, after the others are."""
    if unknown := [name for name in arguments if name not in NAMES]:
        sys.stderr.write(f"no such client: {', '.join(unknown)}; there are {', '.join(NAMES)}\n")
        return 2
    failed = 0
    for name in arguments or NAMES:
        try:
            with (LOCKS / f"{name}.lock").open() as guard:
                fcntl.flock(guard, fcntl.LOCK_EX)  # two makes at once
                install(name)
        except (bootstrap.CannotSetUp, OSError) as fault:
            sys.stderr.write(f"{fault}\n")
            failed = 1
    return failed


def install(name: str) -> None:
    """Make a peer's environment unless it is there; raises bootstrap.CannotSetUp."""
    if python(name) is not None:
        return
    bootstrap.require_venv(sys.executable)
    home = CLIENTS / name
    shutil.rmtree(home, ignore_errors=True)
    bootstrap.run(f"making .clients/{name}", [sys.executable, "-m", "venv", str(home)])
    packages = sum(line[:1].isalnum() for line in _lock(name).splitlines())
    bootstrap.run(
        f"installing {name} {version(name)}, {packages} packages",
        [
            *(str(_python(name)), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"),
            *("--require-hashes", "--only-binary", ":all:", "--requirement", str(LOCKS / f"{name}.lock")),
        ],
    )
    _stamp(name).write_text(_fingerprint(name))


def python(name: str) -> Path | None:
    """The interpreter that has the peer's library; None unless made here, by this Python, as locked."""
    stamp = _stamp(name)
    made = stamp.is_file() and stamp.read_text() == _fingerprint(name) and _python(name).exists()
    return _python(name) if made else None


def version(name: str) -> str:
    """The version of the library that the peer's lock pins."""
    pin = f"{name.replace('_', '-')}=="
    line = next(line for line in _lock(name).splitlines() if line.startswith(pin))
    return line.removeprefix(pin).split()[0]


def _python(name: str) -> Path:
    return CLIENTS / name / "bin" / "python"


def _stamp(name: str) -> Path:
    return CLIENTS / name / ".pms-setup"


def _lock(name: str) -> str:
    return (LOCKS / f"{name}.lock").read_text()


def _fingerprint(name: str) -> str:
    parts = (sys.version, str(bootstrap.ROOT), _lock(name))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
