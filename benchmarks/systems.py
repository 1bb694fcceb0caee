"""The systems that are measured: how each is started, and what it cannot do.

Each starts in an empty folder on the same disk, is ready when its block begins, and gone when it ends.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from .peers import setup
from .processes import REPOSITORY, Processes, free_port, post, processes

PERDURE = Path(sys.executable).with_name("perdure")
SERVICES = "benchmarks.perdure_services:app"


@dataclass(frozen=True)
class Running:
    """A system that answers at `ingress_url`."""

    ingress_url: str
    processes: Processes


@dataclass(frozen=True)
class System:
    """One line of the tables."""

    name: str
    start: Callable[[Path], AbstractAsyncContextManager[Running]]
    lacks: frozenset[str] = frozenset()


@asynccontextmanager
async def perdure_embedded(folder: Path) -> AsyncIterator[Running]:
    """Engine and services in one process."""
    async with processes(folder) as group:
        ingress_url, _ = await perdure_up(group, SERVICES)
        yield Running(ingress_url, group)


@asynccontextmanager
async def perdure_remote(folder: Path) -> AsyncIterator[Running]:
    """Engine in one process, services in a second."""
    async with processes(folder) as group:
        port = free_port()
        await group.start(PERDURE, "serve", SERVICES, "--port", str(port))
        ingress_url, admin_url = await perdure_up(group)
        await register(group, admin_url, port)
        yield Running(ingress_url, group)


async def perdure_up(group: Processes, *modules: str) -> tuple[str, str]:
    """Start `perdure up` and wait until it has recovered: its ingress and admin addresses."""
    ingress, admin = free_port(), free_port()
    ports = ("--ingress-port", str(ingress), "--admin-port", str(admin))
    await group.start(PERDURE, "up", *modules, *ports, "--data-dir", str(group.folder / "store"))
    await group.ready(f"http://127.0.0.1:{ingress}/restate/health")
    return f"http://127.0.0.1:{ingress}", f"http://127.0.0.1:{admin}"


@asynccontextmanager
async def restate(folder: Path) -> AsyncIterator[Running]:
    """restate-server as it is shipped, and the official Python SDK under hypercorn, as its guide says."""
    setup.install()
    async with processes(folder) as group:
        node, ingress, admin, port = free_port(), free_port(), free_port(), free_port()
        await group.start(
            setup.PYTHON,
            "-m",
            "hypercorn",
            "--config",
            REPOSITORY / "benchmarks" / "peers" / "hypercorn.toml",
            "--bind",
            f"127.0.0.1:{port}",
            "benchmarks.peers.restate_services:app",
        )
        await group.start(
            setup.RESTATE_SERVER,
            env={
                "RESTATE_NODE_NAME": "benchmark",
                "RESTATE_BASE_DIR": str(folder / "store"),
                "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
                "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
                "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
                "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
                "RUST_LOG": "warn",
                "DO_NOT_TRACK": "1",
            },
        )
        await group.ready(f"http://127.0.0.1:{admin}/health")
        await group.ready(f"http://127.0.0.1:{ingress}/restate/health")
        await register(group, f"http://127.0.0.1:{admin}", port)
        yield Running(f"http://127.0.0.1:{ingress}", group)


async def register(group: Processes, admin_url: str, port: int) -> None:
    """Make the services at `port` known, once they listen."""
    uri = f"http://127.0.0.1:{port}"
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
    writer.close()
    await group.ready(f"{admin_url}/health")
    await asyncio.to_thread(post, f"{admin_url}/deployments", json.dumps({"uri": uri}).encode())


@asynccontextmanager
async def dbos(folder: Path) -> AsyncIterator[Running]:
    """DBOS: a library, so one process; its store is SQLite."""
    setup.install()
    async with _one_process(folder, setup.PYTHON, "benchmarks.peers.dbos_app") as running:
        yield running


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[Running]:
    """The rows alone."""
    async with _one_process(folder, Path(sys.executable), "benchmarks.peers.bare") as running:
        yield running


@asynccontextmanager
async def _one_process(folder: Path, python: Path, module: str) -> AsyncIterator[Running]:
    async with processes(folder) as group:
        port = free_port()
        await group.start(python, "-m", module, folder, str(port))
        await group.ready(f"http://127.0.0.1:{port}/health")
        yield Running(f"http://127.0.0.1:{port}", group)


SYSTEMS = {
    system.name: system
    for system in (
        System("perdure embedded", perdure_embedded),
        System("perdure remote", perdure_remote),
        System("restate", restate),
        System("dbos", dbos, lacks=frozenset({"counter"})),
        System("bare", bare),
    )
}
