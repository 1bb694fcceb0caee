"""`perdure invocations conversation`, against an engine that ran agents."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.commands import Command, Run

SERVICES = """
import perdure
from perdure.ext.codecs import PLAIN
from perdure.ext.conversation import Asked, Said, Usage
from perdure.ext.model_calls import model_call
from perdure.ext.tool_calls import tool_call

desk = perdure.Service("Desk")
tries = []


async def ask_model(messages):
    async def answer():
        tries.append(1)
        if len(tries) == 1:
            raise perdure.RetryableError("the model is busy")
        return f"answer {len(messages)}"

    def said(text):
        return Said([{"role": "assistant", "content": text}], "model-1", Usage(10, 5), "stop")

    return await model_call(Asked("model", messages, "Be kind.", agent="Clerk"), answer, PLAIN, said)


@desk.handler()
async def answer(ctx: perdure.Context, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    messages.append({"role": "assistant", "content": await ask_model(messages)})

    async def look_up():
        return "42"

    found = await tool_call("look_up", look_up, arguments={"n": 7})
    messages.append({"role": "tool", "tool_call_id": "a", "content": found})
    return await ask_model(messages)


@desk.handler()
async def route(ctx: perdure.Context, question: str) -> str:
    await ctx.service_call(answer, question)
    await ctx.run_typed("send", fail)


def fail() -> None:
    raise perdure.TerminalError("no such address", status_code=404)


app = perdure.app([desk])
"""


@pytest.fixture
def engine(tmp_path: Path, up: Callable[..., Command]) -> Command:
    (tmp_path / "mine.py").write_text(SERVICES)
    return up("mine:app")


def test_a_conversation_is_shown_in_order_with_what_was_called_and_failed(run: Run, engine: Command) -> None:
    assert run("invoke", "Desk/route", "--input", '"Where is it?"', engine=engine).returncode == 1
    listed = run("invocations", "list", "--all", "--handler", "route", "--json", engine=engine).stdout
    [routed] = json.loads(listed)
    shown = run("invocations", "conversation", routed["id"], engine=engine).stdout.splitlines()
    assert shown[0] == f"{routed['id']} Desk/route completed: [404] no such address"
    said = [line.strip() for line in shown]
    expected = (
        "Where is it?",
        "tried again after: perdure.errors.RetryableError: the model is busy",
        "instructions: Be kind.",
        "user: Where is it?",
        "assistant: answer 1",
        'arguments: {"n": 7}',
        "result: 42",
        "goes on after call 1 (2 messages)",
        "tool: 42",
        "assistant: answer 3",
        "failed: [404] no such address",
    )
    places = [said.index(line) for line in expected]
    assert places == sorted(places)
    assert said.count("user: Where is it?") == 1
    assert sum("10 + 5 tokens, stop, answered by model-1" in line for line in shown) == 2

    records = json.loads(run("invocations", "conversation", routed["id"], "--json", engine=engine).stdout)
    calls = [each["value"]["model_call"] for each in records if "model_call" in (each.get("value") or ())]
    assert [call["call"] for call in calls] == [1, 2]
    assert calls[1]["instructions"] == {"as_in_call": 1}
    [failed] = [each for each in records if each.get("name") == "send"]
    assert failed["failure"] == "[404] no such address"

    run("invocations", "purge-journal", routed["id"], engine=engine)
    purged = run("invocations", "conversation", routed["id"], engine=engine)
    assert purged.stdout.endswith("\n\nits journal was purged\n")
    unknown = run("invocations", "conversation", "inv_1jvVM2HWHAo76G4gLyREzOj0ZwcVNXXKRT", engine=engine)
    assert unknown.returncode != 0
    assert "inv_1jvVM2HWHAo76G4gLyREzOj0ZwcVNXXKRT" in unknown.stderr
