"""An engine, and the services it drives, in this process: what `perdure up` runs, and what a program can hold itself.

    async with perdure.Engine(services=[router], data_dir=".perdure") as engine:
        print(await engine.call(answer, question))

Only here are engine and SDK joined: the services become an in-process transport, which is the engine's one lasting
deployment.
"""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine as Core
from perdure.engine.faces.rules import Rules
from perdure.errors import EngineStopping, PerdureError, UsageError
from perdure.sdk.definition import ServiceDefinition
from perdure.sdk.endpoint import Endpoint
from perdure.server.app import HttpServer, ServerConfig
from perdure.transport.in_process import InProcessTransport
from perdure.typed_calls import TypedCalls
from perdure.watchdog import LoopWatchdog

T = TypeVar("T")

GRACE_S = 10.0


class Engine(TypedCalls):
    """A durable engine for the length of one `async with` block; leaving it lets running attempts suspend.

    `services`: services, or what `perdure.app` returned. What is in flight in the store goes on with them at once.
    `data_dir`: the folder of the store, `perdure.db`, made if missing; None keeps all in memory, for tests.
    `config`: limits and defaults, such as `attempts_max`; its `data_dir` does not count.
    `http`: where to serve ingress and admin too, as `perdure up` does; None serves neither.

    Raises:
        UsageError: the config's `request_identity_key` names no key to sign with.

    Raises, on entering:
        UsageError: it was entered before.
        StoreLocked: another engine holds the store.
        StoreError: the store cannot be read or written.
        PortUnavailable: a port of `http` cannot be had.
    """

    def __init__(
        self,
        services: Endpoint | Iterable[ServiceDefinition] = (),
        *,
        data_dir: Path | str | None = ".perdure",
        http: ServerConfig | None = None,
        config: EngineConfig | None = None,
    ) -> None:
        self.endpoint = services if isinstance(services, Endpoint) else Endpoint(services)
        self.data_dir = None if data_dir is None else Path(data_dir)
        self._http_config = http
        self._http: HttpServer | None = None
        self._core = Core(replace(config or EngineConfig(), data_dir=self.data_dir))
        self._stack = AsyncExitStack()
        self._entered = False

    @property
    def ingress_url(self) -> str | None:
        """Where the ingress answers, if `http` was given; known once entered, as is `admin_url`."""
        return self._http.ingress_url if self._http else None

    @property
    def admin_url(self) -> str | None:
        return self._http.admin_url if self._http else None

    @property
    def identity_key(self) -> str | None:
        """The public key of the config's `request_identity_key`: what services are given as one of `identity_keys`."""
        return self._core.identity_key

    @property
    def rules(self) -> Rules:
        """The rules of flow control, to look at, put and delete.

        Raises:
            EngineStopping: the engine has not been entered, or was left.
        """
        return self._open_core().rules

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError("this engine was entered already: make another one for another `async with` block")
        self._entered = True
        transport = InProcessTransport(self.endpoint.manifest(), self.endpoint.open_attempt)
        async with AsyncExitStack() as stack:
            stack.enter_context(LoopWatchdog())
            if self._http_config is not None:
                self._http = HttpServer(self._core, self._http_config)
                self._http.bind()  # a busy port is to be known before handlers run
                # Entered first, left last: while the engine stops, the ingress says so to whoever asks.
                stack.push_async_callback(self._http.stop, 1.0)
            await self._core.start(embedded=transport if self.endpoint.services else None)
            stack.push_async_callback(self._core.stop, GRACE_S)
            if self._http is not None:
                await self._http.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def wait_failed(self) -> None:
        """Waits for as long as the engine runs well.

        Raises:
            StoreError: the store failed, so that the engine had to stop by itself.
            PerdureError: something else did: a bug, which the log has in full.
            EngineStopping: the engine has not been entered.
        """
        if not self._core.stopping:
            self._open_core()
        error = await self._core.wait_failed()
        if isinstance(error, PerdureError):
            raise error
        raise PerdureError(f"the engine had to stop: {type(error).__name__}: {error}") from error

    async def _ask(self, question: Callable[[Core], Awaitable[T]]) -> T:
        return await question(self._open_core())

    def _open_core(self) -> Core:
        if not self._core.ready:
            state = "is stopping, or was left" if self._core.stopping else "was not entered yet"
            raise EngineStopping(f"an engine answers within its `async with` block, and this one {state}")
        return self._core
