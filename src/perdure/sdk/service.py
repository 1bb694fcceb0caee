"""Service: handlers that share nothing. Any number of them run at once."""

from collections.abc import Callable, Sequence
from typing import Unpack

from perdure.sdk.definition import (
    CommonOptions,
    Function,
    InvocationContextManager,
    Options,
    PayloadOptions,
    ServiceDefinition,
)


class HandlerOptions(CommonOptions, PayloadOptions, total=False):
    """The options of `Service.handler`."""

    invocation_context_managers: Sequence[InvocationContextManager] | None


class Service(ServiceDefinition):
    """A named group of handlers.

    router = Service("Router")

    @router.handler()
    async def answer(ctx: Context, question: str) -> str: ...
    """

    kind = "SERVICE"

    def __init__(
        self,
        name: str,
        *,
        invocation_context_managers: Sequence[InvocationContextManager] | None = None,
        **options: Unpack[CommonOptions],
    ) -> None:
        super().__init__(name, Options(**options), tuple(invocation_context_managers or ()))

    def handler(self, name: str | None = None, **options: Unpack[HandlerOptions]) -> Callable[[Function], Function]:
        """Makes a function a handler, under its own name if none is given."""
        return self._handler(name, None, options)
