"""The durable run that code belongs to: what its model calls are recorded by."""

from contextvars import ContextVar
from typing import Any, Final

from agents import Agent

from perdure.ext.durable_here import in_step
from perdure.sdk.capabilities.run_options import RunOptions


class Run:
    """One run of an agent, be it the handler's own or one within it: an agent that is a tool, a guardrail's agent.

    `options`: how often a model is asked; `timeout_s`: how long one try may take; `agent`: who asks next.
    """

    def __init__(self, own_options: RunOptions[Any] | None) -> None:
        self.own_options = own_options
        self.options = own_options
        self.timeout_s: float | None = None
        self.agent: Agent[Any] | None = None


run_var: Final[ContextVar[Run | None]] = ContextVar("perdure_openai_run", default=None)


def current_run() -> Run | None:
    """The run that this code belongs to; None inside a step, which is recorded as a whole."""
    return None if in_step() else run_var.get()
