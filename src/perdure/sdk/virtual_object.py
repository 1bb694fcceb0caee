"""VirtualObject: handlers that share state under a key; those that write it run one at a time per key."""

from collections.abc import Callable, Sequence
from typing import Literal, Unpack

from perdure.errors import UsageError
from perdure.protocol.discovery import HandlerType
from perdure.sdk.definition import (
    CommonOptions,
    Function,
    InvocationContextManager,
    Options,
    PayloadOptions,
    ServiceDefinition,
    StateOptions,
)


class ObjectOptions(CommonOptions, StateOptions, total=False):
    """The options of `VirtualObject`."""


class ObjectHandlerOptions(CommonOptions, StateOptions, PayloadOptions, total=False):
    """The options of `VirtualObject.handler` and `Workflow.handler`."""

    invocation_context_managers: Sequence[InvocationContextManager] | None


_KINDS: dict[str, HandlerType] = {"exclusive": "EXCLUSIVE", "shared": "SHARED"}


class VirtualObject(ServiceDefinition):
    """A named group of handlers over keyed state, such as one chat session per key.

    session = VirtualObject("Session")

    @session.handler()
    async def say(ctx: ObjectContext, message: str) -> str: ...

    @session.handler(kind="shared")
    async def history(ctx: ObjectSharedContext) -> list[str]: ...
    """

    kind = "VIRTUAL_OBJECT"

    def __init__(
        self,
        name: str,
        *,
        invocation_context_managers: Sequence[InvocationContextManager] | None = None,
        **options: Unpack[ObjectOptions],
    ) -> None:
        super().__init__(name, Options(**options), tuple(invocation_context_managers or ()))

    def handler(
        self,
        name: str | None = None,
        *,
        kind: Literal["exclusive", "shared"] = "exclusive",
        **options: Unpack[ObjectHandlerOptions],
    ) -> Callable[[Function], Function]:
        """Makes a function a handler: `exclusive` ones may write state, `shared` ones read it beside them."""
        if kind not in _KINDS:
            raise UsageError(f"a handler of {self.name} has kind {kind!r}; it is 'exclusive' or 'shared'")
        return self._handler(name, _KINDS[kind], options)
