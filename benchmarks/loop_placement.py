"""Where embedded handlers should run: in the engine's loop, in a thread, or in a process of their own.

Each form serves the same router. Then, beside a handler that keeps its loop busy for 20 ms at a time, as careless
code does, it is measured how soon the engine accepts a send: whether the engine itself still answers.
docs/adr/0001 holds the figures and the choice.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

import perdure
from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine
from perdure.protocol.discovery import Manifest
from perdure.protocol.messages import Envelope
from perdure.server.app import HttpServer, ServerConfig
from perdure.transport.connection import InvokeRequest, Receiver, Sender
from perdure.transport.in_process import InProcessTransport

from .load import Seen, measure
from .processes import REPOSITORY, Processes, free_port, processes
from .systems import PERDURE, register
from .workloads import WORKLOADS, all_services

BUSY_S = 0.02
ROUTER, ECHO = WORKLOADS["router"], WORKLOADS["echo"]

careless = perdure.Service("Careless")


@careless.handler()
async def compute(ctx: perdure.Context) -> None:
    """Computes where it should not: nothing else runs in this loop meanwhile."""
    ends_at = time.perf_counter() + BUSY_S
    while time.perf_counter() < ends_at:
        sum(range(1000))


app = perdure.app([*all_services(perdure), careless])


class Mailbox:
    """Calls from one thread, made in another's loop; those of one turn wake it once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._calls = deque[Callable[[], object]]()
        self._woken = False

    def post(self, call: Callable[[], object]) -> None:
        self._calls.append(call)
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        while self._calls:
            self._calls.popleft()()


class ThreadTransport:
    """The in-process transport with the services in a loop and thread of their own."""

    def __init__(self, inner: InProcessTransport) -> None:
        self._inner = inner
        self._to_engine = Mailbox(asyncio.get_running_loop())
        self._to_services = Mailbox(uvloop.new_event_loop())
        threading.Thread(target=self._to_services.loop.run_forever, daemon=True).start()

    async def discover(self) -> Manifest:
        return await self._inner.discover()

    def open(self, request: InvokeRequest, receiver: Receiver) -> Sender:
        return _ThreadSender(self._inner, request, _ThreadReceiver(receiver, self._to_engine), self._to_services)

    async def close(self) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._inner.close(), self._to_services.loop))


class _ThreadReceiver:
    def __init__(self, receiver: Receiver, to_engine: Mailbox) -> None:
        self._receiver = receiver
        self._post = to_engine.post

    def message(self, envelope: Envelope) -> None:
        self._post(partial(self._receiver.message, envelope))

    def closed(self, error: Exception | None) -> None:
        self._post(partial(self._receiver.closed, error))


class _ThreadSender:
    def __init__(
        self, inner: InProcessTransport, request: InvokeRequest, receiver: _ThreadReceiver, to_services: Mailbox
    ) -> None:
        self._post = to_services.post
        self._post(lambda: setattr(self, "_sender", inner.open(request, receiver)))
        self._sender: Any = None  # Any: set in the services' thread, before anything else that is posted there

    def send(self, envelope: Envelope) -> None:
        self._post(lambda: self._sender.send(envelope))

    def close(self) -> None:
        self._post(lambda: self._sender.close())

    def abort(self) -> None:
        self._post(lambda: self._sender.abort())


async def serve(form: str, data_dir: Path, ingress_port: int, admin_port: int) -> None:
    """The engine with its services in the form that is asked for; `process` gets them by registration."""
    services = InProcessTransport(app.manifest(), app.open_attempt)
    engine = Engine(EngineConfig(data_dir=data_dir))
    await engine.start(
        {"loop": lambda: services, "thread": lambda: ThreadTransport(services), "process": lambda: None}[form]()
    )
    await HttpServer(engine, ServerConfig(ingress_port=ingress_port, admin_port=admin_port)).start()
    await asyncio.Event().wait()


@asynccontextmanager
async def running(form: str, folder: Path) -> AsyncIterator[tuple[str, Processes]]:
    """An engine in that form, in a process that is ours alone."""
    async with processes(folder) as group:
        ingress, admin, port = free_port(), free_port(), free_port()
        if form == "process":
            await group.start(PERDURE, "serve", "benchmarks.loop_placement:app", "--port", str(port))
        module = ("-m", "benchmarks.loop_placement", "--serve", form)
        await group.start(sys.executable, *module, str(folder / "store"), str(ingress), str(admin))
        await group.ready(f"http://127.0.0.1:{ingress}/restate/health")
        if form == "process":
            await register(group, f"http://127.0.0.1:{admin}", port)
        yield f"http://127.0.0.1:{ingress}", group


async def run(seconds: float, folder: Path) -> None:
    """Measure the three forms, print one table."""
    headings = ("router/s, 128", "cpu µs", "router p50 ms, 1", "accept p50 ms", "beside careless", "its p99")
    table = Table(title="Where embedded handlers run", title_justify="left")
    table.add_column("form")
    for heading in headings:
        table.add_column(heading, justify="right")
    for form in ("loop", "thread", "process"):
        (folder / form).mkdir()
        async with running(form, folder / form) as (url, group):
            cpu_s = group.cpu_s()
            many = await measure(url + ROUTER.path, ROUTER.body, ROUTER.answer, connections=128, seconds=seconds)
            cpu_us = (group.cpu_s() - cpu_s) * 1e6 / max(1, many.answered)
            one = await measure(url + ROUTER.path, ROUTER.body, ROUTER.answer, connections=1, seconds=seconds)
            calm = await _accept(url, seconds)
            beside, _ = await asyncio.gather(
                _accept(url, seconds),
                measure(f"{url}/Careless/compute", b"", None, connections=1, seconds=seconds),
            )
        for seen in (many, one, calm, beside):
            if seen.errors:
                print(f"{form}: {seen.errors} errors: {seen.examples}")
        cells = (many.throughput, cpu_us, one.p50_ms, calm.p50_ms, beside.p50_ms, beside.p99_ms)
        table.add_row(form, *[f"{cell:.0f}" if cell >= 100 else f"{cell:.2f}" for cell in cells])
        print(f"{form} done", flush=True)
    Console(width=120).print(table)


async def _accept(url: str, seconds: float) -> Seen:
    return await measure(f"{url}{ECHO.path}/send", ECHO.body, None, connections=1, seconds=seconds)


def main() -> None:
    """Measure; with `--serve`, be the engine that is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop_placement", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--serve", nargs=4, metavar=("FORM", "FOLDER", "INGRESS", "ADMIN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        form, data_dir, ingress, admin = options.serve
        uvloop.run(serve(form, Path(data_dir), int(ingress), int(admin)))
        return
    (REPOSITORY / ".cache").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="perdure-placement-", dir=REPOSITORY / ".cache"))
    try:
        asyncio.run(run(options.seconds, folder))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
