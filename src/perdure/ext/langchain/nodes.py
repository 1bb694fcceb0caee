"""Nodes of graphs that are written by hand: `builder.add_node("draft", durable_node(draft))`.

LangGraph runs a node or an edge that is a plain function in a thread. Nothing would be recorded of it, and when its
thread is done, beside other nodes, would differ from attempt to attempt. In a handler it is recorded as one step, like
a tool that is a plain function; so is a plain `@task`, and a plain `@entrypoint` with all plain tasks that it
waits for. `durable_node` is for other options, and to have an `async def` held to its context.
"""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

from perdure.ext.durable_here import durable_here, in_handler
from perdure.ext.langchain.determinism import replace
from perdure.ext.langchain.graph_steps import OUTCOME, Outcome, graph_step
from perdure.ext.langchain.tools import run_with_context
from perdure.ext.missing import needs
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import Step, how_recorded
from perdure.sdk.capabilities.runs import RunOptions
from perdure.sdk.threads import in_run_thread

with needs("langgraph", extra="langchain"):
    import langgraph._internal._runnable  # pyright: ignore[reportMissingTypeStubs]
    import langgraph.pregel._call  # pyright: ignore[reportMissingTypeStubs]
    import langgraph.pregel._utils  # pyright: ignore[reportMissingTypeStubs]
    from langchain_core.runnables.config import run_in_executor
    from langgraph.config import get_config


def durable_node(
    fn: Callable[..., Any], *, name: str | None = None, run_options: RunOptions[Any] | None = None
) -> Callable[..., Awaitable[Any]]:
    """The function of a node, recorded: a plain `def` as one step, an `async def` run with the context, held to it.

    The marks `@as_step` and `@with_context` say otherwise. `run_options`: how often a step is tried, and how long; else
    its mark or the invocation's policy says it.
    """
    return _recorded("node", fn, name, run_options)


def record_plain_functions() -> None:
    """Has plain functions recorded: nodes and edges of graphs that are built from now on, and tasks. Once."""
    replace(langgraph._internal._runnable, "run_in_executor", _node)  # pyright: ignore[reportPrivateUsage]
    replace(langgraph.pregel._call, "run_in_executor", _task)  # pyright: ignore[reportPrivateUsage]
    replace(langgraph.pregel._utils, "_is_executor_backed_afunc", _is_plain)  # pyright: ignore[reportPrivateUsage]


def _recorded(
    kind: str, fn: Callable[..., Any], name: str | None = None, run_options: RunOptions[Any] | None = None
) -> Callable[..., Awaitable[Any]]:
    recording = how_recorded(fn)
    node = name or getattr(fn, "__name__", type(fn).__name__)

    @wraps(fn)
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        if not isinstance(recording, Step):
            return await run_with_context(f"{kind} {node}", lambda: fn(*args, **kwargs))
        options = run_options or recording.options

        async def execute() -> Any:
            if inspect.iscoroutinefunction(fn):
                return await fn(*args, **kwargs)
            return await in_run_thread(partial(fn, *args, **kwargs))

        async def record(body: Callable[[], Awaitable[Outcome]]) -> Outcome:
            entry = Entry[Outcome](kind, lambda _: {"name": node}, "result", OUTCOME)
            return await step(durable_here(f"{kind} {node!r}"), f"{kind} {node}", body, entry, options)

        return await graph_step(node, execute, record, get_config())

    return recorded


async def _node(executor: Any, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if in_handler() is None:
        return await run_in_executor(executor, fn, *args, **kwargs)
    return await _recorded("node", fn)(*args, **kwargs)


async def _task(executor: Any, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The same for a plain `@task`, or `@entrypoint`, of the functional interface."""
    if in_handler() is None:
        return await run_in_executor(executor, fn, *args, **kwargs)
    return await _recorded("task", fn)(*args, **kwargs)


def _is_plain(afunc: Callable[..., Any] | None) -> bool:
    """Whether LangGraph has made it of a plain function, which it cannot interrupt: such a node has no timeout."""
    return isinstance(afunc, partial) and afunc.func in (run_in_executor, _node, _task)
