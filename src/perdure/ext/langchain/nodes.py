"""Nodes of graphs that are written by hand: `builder.add_node("draft", durable_node(draft))`.

LangGraph runs a node or an edge that is a plain function in a thread. Nothing would be recorded of it, and when its
thread is done, beside other nodes, would differ from attempt to attempt. In a handler it is recorded as one step, like
a tool that is a plain function; `durable_node` is for other options, and to have an `async def` held to its context.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from perdure.ext.durable_here import durable_here
from perdure.ext.langchain.determinism import in_handler, replace
from perdure.ext.langchain.graph_steps import OUTCOME, Outcome, graph_step
from perdure.ext.langchain.tools import run_with_context
from perdure.ext.missing import needs
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import Step, how_recorded
from perdure.sdk.capabilities.runs import RunOptions

with needs("langgraph", extra="langchain"):
    import langgraph._internal._runnable  # pyright: ignore[reportMissingTypeStubs]
    from langchain_core.runnables.config import run_in_executor
    from langgraph.config import get_config

_BY_POLICY: Final[RunOptions[Any]] = RunOptions()


def durable_node(
    fn: Callable[..., Any], *, name: str | None = None, run_options: RunOptions[Any] | None = None
) -> Callable[..., Awaitable[Any]]:
    """The function of a node, recorded: a plain `def` as one step, an `async def` run with the context, held to it.

    The marks `@as_step` and `@with_context` say otherwise. `run_options`: how often a step is tried, and how long; else
    its mark or the invocation's policy says it.
    """
    recording = how_recorded(fn)
    node = name or getattr(fn, "__name__", type(fn).__name__)

    @wraps(fn)
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        if not isinstance(recording, Step):
            return await run_with_context(f"node {node}", lambda: fn(*args, **kwargs))
        options = run_options or recording.options or _BY_POLICY

        async def execute() -> Any:
            if inspect.iscoroutinefunction(fn):
                return await fn(*args, **kwargs)
            return await asyncio.to_thread(fn, *args, **kwargs)

        async def record(body: Callable[[], Awaitable[Outcome]]) -> Outcome:
            entry = Entry[Outcome]("node", lambda _: {"name": node}, "result", OUTCOME)
            return await step(durable_here(f"node {node!r}"), f"node {node}", body, entry, options)

        return await graph_step(node, execute, record, get_config())

    return recorded


def record_plain_functions() -> None:
    """Has nodes and edges that are plain functions recorded, of graphs that are built from now on. To be done once."""
    replace(langgraph._internal._runnable, "run_in_executor", _as_step)  # pyright: ignore[reportPrivateUsage]


async def _as_step(executor: Any, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if in_handler() is None:
        return await run_in_executor(executor, fn, *args, **kwargs)
    return await durable_node(fn)(*args, **kwargs)
