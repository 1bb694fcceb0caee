"""Workflow: a main handler that runs once per key, and shared ones that query it or signal to it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Unpack

from perdure.errors import UsageError
from perdure.sdk.definition import Function, InvocationContextManager, Options, ServiceDefinition
from perdure.sdk.virtual_object import ObjectHandlerOptions, ObjectOptions


class WorkflowMainOptions(ObjectHandlerOptions, total=False):
    """The options of `Workflow.main`. Its result is kept for `workflow_retention`, not `idempotency_retention`."""

    workflow_retention: timedelta | None


class Workflow(ServiceDefinition):
    """A named flow of which each key is one run.

    signup = Workflow("Signup")

    @signup.main()
    async def run(ctx: WorkflowContext, user: User) -> bool: ...

    @signup.handler()
    async def confirm(ctx: WorkflowSharedContext, code: str) -> None: ...
    """

    kind = "WORKFLOW"

    def __init__(
        self,
        name: str,
        *,
        invocation_context_managers: Sequence[InvocationContextManager] | None = None,
        **options: Unpack[ObjectOptions],
    ) -> None:
        super().__init__(name, Options(**options), tuple(invocation_context_managers or ()))

    def main(self, name: str | None = None, **options: Unpack[WorkflowMainOptions]) -> Callable[[Function], Function]:
        """Makes a function the flow itself; a workflow has one."""
        if options.get("idempotency_retention") is not None:
            raise UsageError(f"the main handler of {self.name} has workflow_retention, not idempotency_retention")
        for handler in self.handlers.values():
            if handler.kind == "WORKFLOW":
                raise UsageError(f"{self.name} has a main handler already: {handler.name}")
        return self._handler(name, "WORKFLOW", options)

    def handler(
        self, name: str | None = None, **options: Unpack[ObjectHandlerOptions]
    ) -> Callable[[Function], Function]:
        """Makes a function a shared handler, which may be called before, while and after the flow runs."""
        return self._handler(name, "SHARED", options)
