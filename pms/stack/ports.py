"""Ports on loopback: found free before anything starts, so that a taken one is one clear line."""

from __future__ import annotations

import socket

from pms.stack.errors import StackError

LOOPBACK = "127.0.0.1"


def claim(variable: str, port: int) -> int:
    """The port if it is free, a free one for 0. Raises StackError naming the variable."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise StackError(
                f"port {port} of {LOOPBACK} is taken by another program:"
                f" set {variable} to a free one, or to 0 for any"
            ) from None
        return int(probe.getsockname()[1])
