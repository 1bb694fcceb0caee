"""A journal that the code does not follow: the error names the entry, both sides, the line, and what to do."""

import asyncio
import inspect
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.messages import envelope
from perdure.sdk.context import Context, ObjectContext
from perdure.sdk.mismatch import location_of
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from tests.unit.sdk.journal_engine import ID, JournalEngine, answer_nothing

HOUR = timedelta(hours=1)

CALL = pb.CallCommandMessage(
    service_name="A", handler_name="run", parameter=b"1", invocation_id_notification_idx=1, result_completion_id=2
)
SLEEP = pb.SleepCommandMessage(result_completion_id=1, name="nap")
RUN = pb.RunCommandMessage(result_completion_id=1, name="choose agent")


async def mismatch(fn: Any, *recorded: Message, thing: bool = False, body: bytes = b"") -> pb.ErrorMessage:
    service = VirtualObject("Thing") if thing else Service("Test")
    service.handler("run")(fn)
    engine = JournalEngine(service.handlers["run"], body, answer=answer_nothing, half_closed=True)
    engine.journal += [envelope(command) for command in recorded]
    engine.begin()
    error = (await engine.ended()).message
    assert isinstance(error, pb.ErrorMessage), error
    assert error.code == 570
    return error


def line_of(fn: Any, text: str) -> str:
    lines, first = inspect.getsourcelines(fn)
    return f"test_mismatch.py:{first + next(n for n, line in enumerate(lines) if text in line)}"


async def test_another_command_is_explained_like_by_a_compiler() -> None:
    async def routes(ctx: Context) -> None:
        await ctx.generic_call("BillingAgent", "run", b"")

    error = await mismatch(routes, RUN)
    lines = error.message.splitlines()
    assert lines[:2] == [
        f"{ID} cannot go on: its code no longer follows its journal",
        '  journal entry 1:  run "choose agent"',
    ]
    assert lines[2].startswith("  the code now:     call BillingAgent/run  (")
    assert line_of(routes, "generic_call") in lines[2]
    assert "put it back as it was and resume" in lines[3]
    assert "address of its own" in lines[4]
    assert "wrap that in ctx.run" in lines[5]
    assert (error.related_command_index, error.related_command_name) == (1, "choose agent")
    assert error.related_command_type == 0x0411


async def test_the_line_is_found_in_the_thread_of_a_plain_handler() -> None:
    def calls(ctx: Context) -> None:
        ctx.generic_call("BillingAgent", "run", b"").result()

    assert line_of(calls, "generic_call") in (await mismatch(calls, RUN)).message


async def test_a_field_that_differs_is_named() -> None:
    async def calls(ctx: Context) -> None:
        await ctx.generic_call("A", "run", b"2")

    error = await mismatch(calls, CALL)
    assert "they differ in:   parameter: 1 in the journal, 2 now" in error.message
    assert line_of(calls, "generic_call") in error.message


async def test_a_handler_that_ends_before_its_journal_is_one() -> None:
    async def returns(ctx: Context) -> None:
        return None

    error = await mismatch(returns, CALL)
    assert "journal entry 1:  call A/run" in error.message
    assert "the code now:     handler return\n" in error.message


async def test_waiting_where_the_journal_goes_on_is_one() -> None:
    async def waits(ctx: Context) -> None:
        await ctx.sleep(HOUR, name="nap")
        await ctx.generic_call("A", "run", b"1")

    recorded_call = pb.CallCommandMessage()
    recorded_call.CopyFrom(CALL)
    error = await mismatch(waits, SLEEP, recorded_call)
    assert "journal entry 2:  call A/run" in error.message
    assert "waits for something that the journal does not hold" in error.message
    assert line_of(waits, "sleep") in error.message


async def test_waiting_in_several_tasks_is_one_too() -> None:
    async def waits(ctx: Context) -> None:
        async def nap() -> None:
            await ctx.sleep(HOUR, name="nap")

        await asyncio.gather(nap(), nap())

    second = pb.SleepCommandMessage(result_completion_id=2, name="nap")
    error = await mismatch(waits, SLEEP, second, CALL)
    assert line_of(waits, "ctx.sleep") in error.message


async def test_the_handler_cannot_swallow_it() -> None:
    async def stubborn(ctx: Context) -> str:
        try:
            ctx.generic_call("B", "run", b"")
        except Exception:  # noqa: BLE001
            return "swallowed"
        return "done"

    assert "call A/run" in (await mismatch(stubborn, CALL)).message


@pytest.mark.parametrize(
    "recorded",
    [
        pb.GetEagerStateCommandMessage(key=b"other", void=pb.Void()),
        pb.GetLazyStateCommandMessage(key=b"other", result_completion_id=1),
        pb.SetStateCommandMessage(key=b"a", value=pb.Value(content=b"1")),
        pb.ClearAllStateCommandMessage(),
        RUN,
        SLEEP,
        pb.OneWayCallCommandMessage(service_name="A", handler_name="run", invocation_id_notification_idx=1),
        pb.SendSignalCommandMessage(target_invocation_id="inv_x", name="go"),
        pb.SendSignalCommandMessage(target_invocation_id="inv_x", idx=1),
        pb.CompleteAwakeableCommandMessage(awakeable_id="sign_1x"),
        pb.GetPromiseCommandMessage(key="p", result_completion_id=1),
        pb.AttachInvocationCommandMessage(invocation_id="inv_x", result_completion_id=1),
        pb.OutputCommandMessage(value=pb.Value(content=b"1")),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_every_command_can_be_described(recorded: Message) -> None:
    async def reads(ctx: ObjectContext) -> None:
        await ctx.get("a")

    error = await mismatch(reads, recorded, thing=True)
    assert 'the code now:     get state "a"' in error.message
    assert "message type" not in error.message


async def test_json_that_is_only_written_differently_is_no_mismatch() -> None:
    async def calls(ctx: Context) -> None:
        ctx.generic_call("A", "run", b'{"a":1,"b":[2]}')

    service = Service("Test")
    service.handler("run")(calls)
    engine = JournalEngine(service.handlers["run"], answer=answer_nothing)
    spaced = pb.CallCommandMessage()
    spaced.CopyFrom(CALL)
    spaced.parameter = b'{"b": [2], "a": 1}'
    engine.journal.append(envelope(spaced))
    assert (await engine.run()).HasField("value")


@pytest.mark.parametrize("payload", [b'"\xff"', b"[" * 100_000, b"{"], ids=["no_utf8", "too_deep", "no_json"])
async def test_a_payload_that_is_no_json_is_compared_as_bytes(payload: bytes) -> None:
    async def calls(ctx: Context) -> None:
        await ctx.generic_call("A", "run", payload)

    error = await mismatch(calls, CALL)
    assert "they differ in:   parameter: 1 in the journal" in error.message


INSTALLED = ["/usr/lib/python3/dist-packages/agents.py", "/app/.venv/lib/python3.12/site-packages/agents.py"]


@pytest.mark.parametrize("installed", INSTALLED)
def test_the_line_is_the_users_and_a_packages_only_where_there_is_no_other(installed: str) -> None:
    ours, users = location_of.__code__.co_filename, "/app/router.py"
    assert location_of(iter([(ours, 1), (installed, 2), (asyncio.__file__, 3), (users, 4)])) == f"{users}:4"
    assert location_of(iter([(ours, 1), (installed, 2), ("<string>", 3)])) == f"{installed}:2"
    assert location_of(iter([(ours, 1), (asyncio.__file__, 3)])) is None
