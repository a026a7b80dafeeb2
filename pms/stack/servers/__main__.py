"""Fetch the servers ahead of their first use: `python -m pms.stack.servers`."""

from __future__ import annotations

import sys

from pms.stack.errors import StackError
from pms.stack.servers.binaries import install


def main() -> int:
    """Fetch and unpack; 1 with one line on stderr where that fails."""
    try:
        install()
    except StackError as fault:
        sys.stderr.write(f"error: {fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
