"""`perdure up`: an engine and its services in one process, with ingress and admin port."""

from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.banner import show_banner
from perdure.cli.lifetime import Lifetime, run_until_stopped, spare_the_collector
from perdure.cli.logs import log_to_stderr


def up(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="MODULE:ATTR", help="Services to run here, such as app:services.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    ingress_port: Annotated[int, typer.Option(min=0, max=65535, help="For callers; 0 takes a free one.")] = 8080,
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="For operators; 0 takes a free one.")] = 9070,
    data_dir: Annotated[Path, typer.Option(help="The folder of the store, perdure.db.")] = Path(".perdure"),
    request_identity_key: Annotated[
        Path | None,
        typer.Option(
            envvar="PERDURE_REQUEST_IDENTITY_KEY",
            help="Sign requests to deployments with the key in this file; `perdure identity new` makes one.",
        ),
    ] = None,
    query_timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which an SQL query is cut off.")] = 30.0,
) -> None:
    """Run the engine, with services in the same process; without any, the engine alone."""
    from perdure.cli.imports import load_endpoint
    from perdure.embedded import Engine
    from perdure.engine.config import EngineConfig
    from perdure.server.app import ServerConfig
    from perdure.server.query.queries import QueryLimits

    log_to_stderr()
    endpoint = load_endpoint(services or [])
    config = EngineConfig(request_identity_key=request_identity_key)
    http = ServerConfig(host, ingress_port, admin_port, QueryLimits(timeout_s=query_timeout))

    async def serve(lifetime: Lifetime) -> None:
        spare_the_collector()
        async with Engine(endpoint, data_dir=data_dir, http=http, config=config) as engine:
            if not lifetime.stopping:
                show_banner(
                    "is up",
                    [
                        ("ingress", engine.ingress_url or ""),
                        ("admin", engine.admin_url or ""),
                        ("store", str(data_dir / "perdure.db")),
                        *([("identity", engine.identity_key)] if engine.identity_key else []),
                        ("services", ", ".join(service.name for service in endpoint.services) or "none here"),
                    ],
                )
            await lifetime.lasts(engine.wait_failed())

    run_until_stopped(serve)
