"""Nodes of graphs that are written by hand: `builder.add_node("draft", durable_node(draft))`.

LangGraph runs a node or an edge that is a plain function in a thread. Nothing would be recorded of it, and when its
thread is done, beside other nodes, would differ from attempt to attempt. In a handler it is recorded as one step, like
a tool that is a plain function; so is a plain `@task`, and a plain `@entrypoint` with all plain tasks that it
waits for. `durable_node` is for other options, and to have an `async def` held to its context.

LangGraph puts a `RunnableCallable` around each function of a graph. The seam is its `ainvoke`, so that it does not
matter whether the graph was built before or after our import.
"""

from collections.abc import Awaitable, Callable
from copy import copy
from functools import partial, wraps
from typing import Any

from perdure.ext.durable_here import durable_here, in_handler
from perdure.ext.langchain.cancelling import letting_cancels_pass
from perdure.ext.langchain.determinism import replace
from perdure.ext.langchain.graph_steps import OUTCOME, Outcome, graph_step
from perdure.ext.missing import needs
from perdure.ext.steps import Entry, step
from perdure.ext.tool_calls import Step, call_body, how_recorded
from perdure.sdk.capabilities.run_options import RunOptions

with needs("langgraph", extra="langchain"):
    from langgraph._internal._runnable import RunnableCallable  # pyright: ignore[reportMissingTypeStubs]
    from langgraph.config import get_config
    from langgraph.pregel._utils import (  # pyright: ignore[reportMissingTypeStubs]
        _is_executor_backed_afunc as calls_in_thread,  # pyright: ignore[reportPrivateUsage]
    )


def durable_node(
    fn: Callable[..., Any], *, name: str | None = None, run_options: RunOptions[Any] | None = None
) -> Callable[..., Awaitable[Any]]:
    """The function of a node, recorded: a plain `def` as one step, an `async def` run with the context, held to it.

    The marks `@as_step` and `@with_context` say otherwise. `run_options`: how often a step is tried, and how long; else
    its mark or the invocation's policy says it.
    """
    return _durable("node", fn, name, run_options)


def record_plain_functions() -> None:
    """Has plain functions recorded: nodes and edges of graphs, and tasks; and has cancels pass them all. Once."""
    invoke = RunnableCallable.ainvoke

    @wraps(invoke)
    async def ainvoke(self: Any, *args: Any, **kwargs: Any) -> Any:
        if in_handler() is None:
            return await invoke(self, *args, **kwargs)
        function = self
        if self.func is not None and calls_in_thread(self.afunc):
            kind = "node" if self.recurse else "task"  # a node may return what is to be run; a task's is handed on
            function = copy(self)
            function.afunc = _durable(kind, self.func)
        with letting_cancels_pass():
            return await invoke(function, *args, **kwargs)

    replace(RunnableCallable, "ainvoke", ainvoke)


def _durable(
    kind: str, fn: Callable[..., Any], name: str | None = None, run_options: RunOptions[Any] | None = None
) -> Callable[..., Awaitable[Any]]:
    recording = how_recorded(fn)
    node = name or getattr(fn, "__name__", type(fn).__name__)
    entry = Entry[Outcome](kind, lambda _: {"name": node}, "result", OUTCOME)

    @wraps(fn)
    async def durable(*args: Any, **kwargs: Any) -> Any:
        ctx = durable_here(f"{kind} {node!r}")
        if not isinstance(recording, Step):
            with letting_cancels_pass():
                return await ctx.alone(f"{kind} {node!r}", partial(fn, *args, **kwargs))
        record = partial(step, ctx, f"{kind} {node}", entry=entry, options=run_options or recording.options)
        return await graph_step(node, partial(call_body, fn, *args, **kwargs), record, get_config())

    return durable
