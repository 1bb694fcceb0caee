"""What the server needs of an engine. `perdure.engine.engine.Engine` is one; tests give a smaller one.

Every awaitable returns only after the commit that it depends on, and raises the classes of `perdure.errors`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from perdure.engine.config import EngineConfig
from perdure.engine.events import Accepted, Outcome, Target
from perdure.engine.registry import Registration, Registry


class InvocationView(Protocol):
    """An invocation as an operator sees it; a msgspec Struct."""

    @property
    def target_service_name(self) -> str: ...

    @property
    def target_handler_name(self) -> str: ...


class Engine(Protocol):
    @property
    def config(self) -> EngineConfig: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def ready(self) -> bool: ...

    @property
    def stopping(self) -> bool: ...

    async def call(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
    ) -> Outcome: ...

    async def send(
        self,
        target: Target,
        body: bytes,
        *,
        headers: Sequence[tuple[str, str]] = (),
        idempotency_key: str | None = None,
        delay_ms: int = 0,
    ) -> Accepted: ...

    async def attach(self, invocation_id: str) -> Outcome: ...

    def output(self, invocation_id: str) -> Outcome | None: ...

    async def resolve_awakeable(self, awakeable_id: str, value: bytes) -> None: ...

    async def reject_awakeable(self, awakeable_id: str, message: str, code: int = 500) -> None: ...

    async def cancel(self, invocation_id: str) -> None: ...

    async def kill(self, invocation_id: str) -> None: ...

    async def resume(self, invocation_id: str) -> None: ...

    def describe(self, invocation_id: str) -> InvocationView: ...

    async def register(
        self,
        uri: str,
        *,
        force: bool = False,
        breaking: bool = False,
        dry_run: bool = False,
        use_http_11: bool = False,
        additional_headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Registration: ...
