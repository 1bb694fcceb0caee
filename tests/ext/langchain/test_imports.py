"""What is said where LangChain is missing, or is another one than this was written for."""

import subprocess
import sys

import pytest


def error_of(code: str) -> str:
    """What a fresh Python says last."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else "it worked"


def test_without_langchain_it_says_what_to_install() -> None:
    said = error_of("import sys; sys.modules['langchain_core'] = None; import perdure.ext.langchain")
    assert said.startswith("ImportError: this ")
    assert "pip install" in said
    assert "perdure[langchain]" in said


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("langgraph.pregel._checkpoint", "uuid6"),
        ("langgraph.graph.message", "uuid"),
        ("langgraph._internal._future", "EAGER_NOT_SUPPORTED"),
        ("langgraph._internal._runnable", "RunnableCallable"),
        ("langgraph.pregel._utils", "_is_executor_backed_afunc"),
        ("langchain_core.output_parsers.base", "run_in_executor"),
    ],
)
def test_a_langgraph_with_other_names_is_refused_when_imported(module: str, name: str) -> None:
    said = error_of(f"import {module} as there; del there.{name}; import perdure.ext.langchain")
    assert "was written for another version of langgraph" in said


def test_it_is_imported_only_when_asked_for() -> None:
    code = "import sys, perdure, perdure.ext.remote_tools; sys.exit(any('langchain' in each for each in sys.modules))"
    assert error_of(code) == "it worked"


@pytest.mark.parametrize("imported", ["", "import perdure.ext.langchain\n"])
@pytest.mark.parametrize(("kind", "said"), [("async def", "it worked"), ("def", "ValueError: Node timeouts are only ")])
def test_only_async_nodes_may_have_a_timeout_as_ever(imported: str, kind: str, said: str) -> None:
    """LangGraph tells plain functions by what it has put around them; the graph may be begun before our import."""
    begin = "from langgraph.graph import START, StateGraph\nbuilder = StateGraph(dict)\n"
    node = f"{kind} node(state): return {{}}\nbuilder.add_node(node, timeout=1)\nbuilder.add_edge(START, 'node')\n"
    assert error_of(begin + imported + node + "builder.compile()").startswith(said)
    assert error_of(begin + node + imported + "builder.compile()").startswith(said)


IN_A_HANDLER_AND_NOT = """
import asyncio, sys
import perdure
import perdure.ext.langchain
from langgraph._internal import _future
from langgraph._internal._queue import AsyncQueue
from perdure.testing import Harness

service = perdure.Service("Looks")
looked = []

async def look():
    queue = AsyncQueue()
    waits = queue.wait()
    waits.send(None)
    looked.append((bool(_future.EAGER_NOT_SUPPORTED), waits.cr_await.__qualname__))
    waits.close()

@service.handler()
async def run(ctx: perdure.Context) -> None:
    await look()
    await ctx.run_typed("look", look)

async def main():
    await look()
    async with Harness(service) as h:
        await h.call(run)

asyncio.run(main())
before_312 = sys.version_info < (3, 12)
assert [eager for eager, _ in looked] == [before_312, True, before_312], looked
assert [way for _, way in looked] == ["AsyncQueue.wait", "Queue.get", "AsyncQueue.wait"], looked
"""


def test_tasks_and_queues_are_others_in_handlers_only() -> None:
    assert error_of(IN_A_HANDLER_AND_NOT) == "it worked"


GRAPH_BEFORE_THE_IMPORT = """
import asyncio, operator
from typing import Annotated, TypedDict
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph

class State(TypedDict):
    said: Annotated[list[str], operator.add]

done = []

def charge(state):
    done.append("node")
    return {"said": ["charged"]}

def enough(state):
    done.append("edge")
    return "__end__"

@task
def book(what):
    done.append("task")
    return what

@entrypoint()
async def trip(what):
    return await book(what)

builder = StateGraph(State)
builder.add_node("charge", charge)
builder.add_edge(START, "charge")
builder.add_conditional_edges("charge", enough)
graph = builder.compile()

import perdure
import perdure.ext.langchain
from perdure.testing import Harness

service = perdure.Service("Before")

@service.handler()
async def run(ctx: perdure.Context) -> list[str]:
    said = (await graph.ainvoke({"said": []}))["said"]
    return [*said, await trip.ainvoke("train")]

async def main():
    async with Harness(service, always_replay=True) as h:
        assert await h.call(run) == ["charged", "train"]

asyncio.run(main())
assert done == ["node", "edge", "task"], done
"""


def test_a_graph_that_was_built_before_the_import_is_recorded_too() -> None:
    assert error_of(GRAPH_BEFORE_THE_IMPORT) == "it worked"
