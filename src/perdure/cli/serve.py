"""`perdure serve`: services as a deployment, for an engine elsewhere to drive over HTTP/2."""

import asyncio
import logging
from typing import Annotated

import typer

from perdure.cli.banner import show_banner
from perdure.cli.lifetime import GRACE_S, Lifetime, run_until_stopped, spare_the_collector
from perdure.cli.logs import log_to_stderr

logger = logging.getLogger(__name__)


def serve(
    services: Annotated[list[str], typer.Argument(metavar="MODULE:ATTR", help="Services, such as app:services.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 9080,
    identity_key: Annotated[
        list[str] | None,
        typer.Option(help="Take only what the engine with this public key has signed; may be given again."),
    ] = None,
) -> None:
    """Serve services over HTTP/2, for an engine to call: `perdure deployments register` tells it."""
    from perdure.cli.http2_server import Http2Server
    from perdure.cli.imports import load_endpoint
    from perdure.server.sockets import bind, is_loopback, url_of
    from perdure.watchdog import LoopWatchdog

    log_to_stderr()
    endpoint = load_endpoint(services).identity_key(*identity_key or [])
    listener = bind(host, port)
    url = url_of(listener)
    if not endpoint.identity_keys and not is_loopback(listener):
        logger.warning(
            "whoever reaches %s:%d can run these handlers, past any engine: `--identity-key` has them take only what "
            "your engine has signed",
            host,
            listener.getsockname()[1],
        )

    async def serve(lifetime: Lifetime) -> None:
        server = Http2Server(endpoint, listener)
        spare_the_collector()
        with LoopWatchdog():
            serving = asyncio.ensure_future(server.serve())
            show_banner(
                "serves",
                [
                    ("endpoint", url),
                    ("register", f"perdure deployments register {url}"),
                    *(("trusts", key) for key in endpoint.identity_keys),
                    ("services", ", ".join(service.name for service in endpoint.services)),
                ],
            )
            await lifetime.lasts(serving)
            endpoint.shutdown()  # attempts suspend, which ends their responses
            server.stop()
            await asyncio.wait([serving], timeout=GRACE_S)

    run_until_stopped(serve)
