"""An engine, and the services it drives, in this process: what `perdure up` runs, and what a program can hold itself.

    async with perdure.Engine(services=[router], data_dir=".perdure") as engine:
        print(await engine.call(answer, question))

Only here are engine and SDK joined: the services become an in-process transport, which is the engine's one lasting
deployment.
"""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from perdure.engine.config import EngineConfig
from perdure.engine.engine import Engine as Core
from perdure.engine.events import Accepted, Outcome, Target
from perdure.errors import PerdureError, TerminalError, UsageError
from perdure.sdk.definition import HandlerDefinition, HandlerFunction, ServiceDefinition, handler_of
from perdure.sdk.endpoint import Endpoint
from perdure.server.app import HttpServer, ServerConfig
from perdure.transport.in_process import InProcessTransport
from perdure.watchdog import LoopWatchdog

I = TypeVar("I")  # noqa: E741 - a handler's input; O is its output
O = TypeVar("O")  # noqa: E741

GRACE_S = 10.0


class Engine:
    """A durable engine for the length of an `async with` block; leaving it lets running attempts suspend.

    `services`: services, or what `perdure.app` returned. What is in flight in the store goes on with them at once.
    `data_dir`: the folder of the store, `perdure.db`, made if missing; None keeps all in memory, for tests.
    `config`: limits and defaults, such as `attempts_max`; its `data_dir` does not count.
    `http`: where to serve ingress and admin too, as `perdure up` does; None serves neither.

    Raises, on entering:
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

    @property
    def ingress_url(self) -> str | None:
        """Where the ingress answers, if `http` was given; known once entered, as is `admin_url`."""
        return self._http.ingress_url if self._http else None

    @property
    def admin_url(self) -> str | None:
        return self._http.admin_url if self._http else None

    async def __aenter__(self) -> Self:
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
        """
        error = await self._core.wait_failed()
        if isinstance(error, PerdureError):
            raise error
        raise PerdureError(f"the engine had to stop: {type(error).__name__}: {error}") from error

    async def call(
        self,
        handler: HandlerFunction[I, O],
        arg: I | None = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> O:
        """Runs a handler durably, and waits for its result.

        Raises:
            TerminalError: the handler failed for good.
            EngineStopping: the engine was left before the result came. It comes when asked again later, if there is
                an `idempotency_key`.
        """
        definition = handler_of(handler)
        outcome = await self._core.call(
            _target(definition, key), _body(definition, arg), headers=_headers(headers), idempotency_key=idempotency_key
        )
        return cast("O", _result(definition, outcome))

    async def send(
        self,
        handler: HandlerFunction[I, Any],
        arg: I | None = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        delay: timedelta | None = None,
    ) -> Accepted:
        """Has a handler run, now or after a delay; returns as soon as that is certain."""
        definition = handler_of(handler)
        return await self._core.send(
            _target(definition, key),
            _body(definition, arg),
            headers=_headers(headers),
            idempotency_key=idempotency_key,
            delay_ms=0 if delay is None else delay // timedelta(milliseconds=1),
        )

    async def attach(self, handler: HandlerFunction[Any, O], invocation_id: str) -> O:
        """Waits for the result of an invocation that `send` returned. Raises like `call`."""
        return cast("O", _result(handler_of(handler), await self._core.attach(invocation_id)))


def _target(definition: HandlerDefinition, key: str | None) -> Target:
    if (key is None) != (definition.service.kind == "SERVICE"):
        need = "has no keys" if key is not None else "needs a key"
        raise UsageError(f"{definition.target} {need}: it is in a {definition.service.kind.lower().replace('_', ' ')}")
    return Target(definition.service.name, definition.name, key)


def _body(definition: HandlerDefinition, arg: object) -> bytes:
    return definition.input_serde.serialize(arg) if definition.takes_input else b""


def _headers(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((headers or {}).items())


def _result(definition: HandlerDefinition, outcome: Outcome) -> Any:
    if outcome.failure is not None:
        raise TerminalError(outcome.failure.message, outcome.failure.code, outcome.failure.metadata)
    return definition.output_serde.deserialize(outcome.value or b"")
