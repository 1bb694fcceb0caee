"""Listening sockets: bound by ourselves before a server gets them, so that a port in use is known at once."""

import os
import socket
from ipaddress import ip_address

from perdure.errors import PortUnavailable


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 picks a free one, which `url_of` tells.

    Raises:
        PortUnavailable: with the reason.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise PortUnavailable(host, port, error) from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(1024)
    except OSError as error:
        bound.close()
        raise PortUnavailable(host, port, error) from error
    bound.setblocking(False)
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ip_address(bound.getsockname()[0]).is_loopback


def url_of(bound: socket.socket) -> str:
    """How to reach a bound socket from this machine."""
    name: str = bound.getsockname()[0]
    port: int = bound.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
