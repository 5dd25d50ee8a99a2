"""Loopback ports that a server can have today and after its next start."""

import random
import socket
import time
from typing import Final

from config.errors import Misconfigured

# Below the ports that systems give to outgoing connections (Linux from 32768, macOS and Windows from 49152), so that no
# program's connection sits on one when its server comes back.
_LASTING: Final = range(20_000, 30_000)
_POLL_S: Final = 0.05


def lasting_ports(count: int) -> list[int]:
    """Different ports that are free now and likely to be free at the next start."""
    found: list[int] = []
    for port in random.sample(_LASTING, len(_LASTING)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise Misconfigured(
        f"of the ports {_LASTING[0]} to {_LASTING[-1]} fewer than {count} are free: close some programs"
    )


def is_free(port: int) -> bool:
    """Whether a server could listen there now, as servers do: also where an ended one's connections still fade."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def await_free(port: int, *, within_s: float) -> bool:
    """Whether a port is free or becomes so in that time: servers that were killed a moment ago may still be leaving."""
    deadline = time.monotonic() + within_s
    while not (free := is_free(port)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return free
