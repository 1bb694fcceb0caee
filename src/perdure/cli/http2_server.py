"""granian in our own event loop, on a socket that we bound ourselves.

Left to itself granian binds with SO_REUSEPORT, so that a second server on the same port starts without a word and
takes half of the connections; and it does not tell which port it got for port 0.
"""

import socket
from collections.abc import Callable
from typing import Any, cast

from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.http import HTTP2Settings
from granian.server.embed import Server

BACKLOG = 1024
# An attempt that waits keeps its stream; granian's defaults (200, 128) would let waiting attempts lock out those they
# wait for.
STREAMS_MAX = 100_000


class Http2Server(Server):
    """Serves one ASGI app over HTTP/2 and HTTP/1.1. `stop()` finishes the open responses, then `serve()` returns."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(
            app,
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            backlog=BACKLOG,
            backpressure=STREAMS_MAX,
            websockets=False,
            http2_settings=HTTP2Settings(max_concurrent_streams=STREAMS_MAX),
            log_enabled=False,
        )
        # Accepted connections inherit it. Without, a frame that follows another waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # From here on the descriptor is granian's, which closes it.
        holder = cast(Callable[[int, bool, int], Any], SocketHolder)  # its stub does not know how it is made
        self._shd = holder(self._listener.detach(), False, BACKLOG)
        self._ssp = None
