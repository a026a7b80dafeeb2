"""The peers' environments: made by `make clients`, used by `pms bench ticks`, never by the product."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / ".clients"
QUIETLY = ("-q", "--disable-pip-version-check")
WHEELS = ("--only-binary", ":all:")


@dataclass(frozen=True, slots=True)
class Peer:
    """One other order book: its script, its locked packages and its own interpreter."""

    script: str
    title: str

    @property
    def lock(self) -> Path:
        return HERE / f"{self.script}.lock"

    @property
    def python(self) -> Path:
        return CLIENTS / self.script / "bin" / "python"

    @property
    def ready(self) -> bool:
        """Whether its environment holds just what its lock says."""
        stamp = CLIENTS / self.script / ".locked"
        return stamp.is_file() and stamp.read_text() == _digest(self.lock)

    def install(self) -> str | None:
        """Make the environment; the installer's last words if it cannot be made."""
        venv.create(CLIENTS / self.script, with_pip=True, clear=True)
        done = subprocess.run(
            [self.python, "-m", "pip", "install", *QUIETLY, "--require-hashes", *WHEELS, "-r", self.lock],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return lines[-1] if lines else done.stderr.strip()[-200:]
        (CLIENTS / self.script / ".locked").write_text(_digest(self.lock))
        return None


PEERS = (
    Peer("c_order_book", "order_book 0.6.1 (cryptofeed's, C)"),
    Peer("ccxt_pro", "ccxt 4.5.90 (WebSocket order book, floats)"),
    Peer("nautilus", "nautilus_trader 1.221.0 (Rust)"),
)


def _digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest() + f" {sys.version_info[:2]}"


def main() -> None:
    """Make what is missing, one line a peer; a peer that has no wheel here is said so."""
    for peer in PEERS:
        if peer.ready:
            fault = None
        else:
            sys.stderr.write(f"  … {peer.title}\n")
            fault = peer.install()
        sys.stderr.write(f"  ✗ {peer.title}: {fault}\n" if fault else f"  ✓ {peer.title}\n")


if __name__ == "__main__":
    main()
