"""What goes with a call beside its input: scope, limit key, priority; and what is refused."""

from datetime import timedelta
from typing import Any

import pytest

from perdure.errors import UsageError
from perdure.protocol import wire_pb2 as pb
from perdure.sdk.context import Context
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from tests.unit.sdk.journal_engine import JournalEngine, answer_nothing

other = Service("Other")
thing = VirtualObject("Thing")


@other.handler()
async def ask(ctx: Context, question: str) -> str:
    return question


@thing.handler()
async def keep(ctx: Any, question: str) -> str:
    return question


@other.handler()
async def tick(ctx: Context) -> int:
    return 1


@thing.handler()
async def look(ctx: Any) -> int:
    return 1


async def commands(fn: Any, version: int = 7) -> list[Any]:
    service = Service("Test")
    service.handler("run")(fn)
    engine = JournalEngine(service.handlers["run"], answer=answer_nothing, version=version)
    engine.begin()
    last = (await engine.ended()).message
    assert not isinstance(last, pb.ErrorMessage), last.message
    wanted = pb.CallCommandMessage | pb.OneWayCallCommandMessage
    return [entry.message for entry in engine.journal if isinstance(entry.message, wanted)]


async def test_the_input_is_left_out_where_there_is_none() -> None:
    async def calls(ctx: Context) -> None:
        ctx.service_call(tick)
        ctx.service_send(tick, send_delay=timedelta(0))
        ctx.object_call(look, "k")
        ctx.object_send(look, "k")
        ctx.workflow_call(look, "k", timeout=timedelta(1))
        ctx.workflow_send(look, key="k")
        ctx.generic_call("Other", "tick")
        ctx.generic_send("Thing", "look", key="k")

    named = [(each.service_name, each.key, each.parameter) for each in await commands(calls)]
    without, with_key = ("Other", "", b""), ("Thing", "k", b"")
    assert named == [without, without, *[with_key] * 4, without, with_key]


async def test_a_delay_is_a_timedelta_of_zero_or_more() -> None:
    async def sends(ctx: Context) -> None:
        for delay, said in ((timedelta(seconds=-1), "zero or more, not -1 s"), (5, "a timedelta, not 5: send_delay=")):
            for send in (
                lambda delay=delay: ctx.service_send(ask, "?", send_delay=delay),
                lambda delay=delay: ctx.object_send(keep, "k", "?", send_delay=delay),
                lambda delay=delay: ctx.generic_send("Other", "ask", b"", send_delay=delay),
            ):
                with pytest.raises(UsageError, match=f"send_delay must be {said}"):
                    send()
        ctx.service_send(ask, "?", send_delay=timedelta(0))

    assert len(await commands(sends)) == 1


async def test_scope_limit_key_and_priority_go_with_calls_and_sends() -> None:
    async def calls(ctx: Context) -> None:
        openai = ctx.scope("openai")
        openai.service_call(ask, "?", limit_key="tenant/user", priority=7)
        openai.service_send(ask, "?", limit_key="tenant", priority=-100)
        openai.object_call(keep, "k", "?")
        openai.object_send(keep, "k", "?", headers={"x-a": "b"}, priority=0)
        ctx.generic_call("Other", "ask", b"", scope="s", limit_key="a")
        ctx.generic_send("Other", "ask", b"", scope="s", limit_key="a/b", priority=1)
        ctx.service_call(ask, "?")

    shown = [
        (each.scope, each.limit_key, [(header.key, header.value) for header in each.headers])
        for each in await commands(calls)
    ]
    assert shown == [
        ("openai", "tenant/user", [("x-perdure-priority", "7")]),
        ("openai", "tenant", [("x-perdure-priority", "-100")]),
        ("openai", "", []),
        ("openai", "", [("x-a", "b"), ("x-perdure-priority", "0")]),
        ("s", "a", []),
        ("s", "a/b", [("x-perdure-priority", "1")]),
        ("", "", []),
    ]


async def test_priority_needs_no_new_protocol_but_a_scope_does() -> None:
    async def calls(ctx: Context) -> None:
        ctx.service_call(ask, "?", priority=7)
        with pytest.raises(UsageError, match="need protocol version 7, and this invocation runs with version 6"):
            ctx.scope("openai").service_call(ask, "?")

    assert len(await commands(calls, version=6)) == 1


async def test_what_is_misspelled_is_refused_where_it_is_said() -> None:
    async def calls(ctx: Context) -> None:
        for scope in ("", "a b", "x" * 37):
            with pytest.raises(UsageError, match="bad scope"):
                ctx.scope(scope)
        for limit_key in ("", "a/b/c", "a/", "ä"):
            with pytest.raises(UsageError, match="bad limit key"):
                ctx.scope("s").service_call(ask, "?", limit_key=limit_key)
        with pytest.raises(UsageError, match="without a scope"):
            ctx.service_call(ask, "?", limit_key="a")
        priorities: list[Any] = [101, -101, "7", 1.5, True]
        for priority in priorities:
            with pytest.raises(UsageError, match="a whole number from -100 to 100"):
                ctx.service_call(ask, "?", priority=priority)
        with pytest.raises(UsageError, match="idempotency_key must not be empty"):
            ctx.service_call(ask, "?", idempotency_key="")

    assert await commands(calls) == []


async def test_an_invocation_whose_id_is_not_known_yet_is_asked_for_it() -> None:
    async def tells(ctx: Context) -> None:
        for invocation in (ctx.service_call(tick), ctx.service_send(tick)):
            for tell in (
                lambda it=invocation: ctx.resolve_signal(it, "go", 1),
                lambda it=invocation: ctx.reject_signal(it, "go", "no"),
                lambda it=invocation: ctx.cancel_invocation(it),
                lambda it=invocation: ctx.attach_invocation(it),
            ):
                with pytest.raises(UsageError, match=r"give `await \.\.\.\.invocation_id\(\)`"):
                    tell()
        with pytest.raises(UsageError, match="an invocation id must be a str, not int"):
            ctx.cancel_invocation(7)  # type: ignore[arg-type]

    assert len(await commands(tells)) == 2


async def test_an_argument_in_the_place_of_a_runs_options_is_a_sentence() -> None:
    async def runs(ctx: Any) -> None:
        with pytest.raises(UsageError, match=r"not 'Ada'. What the action takes comes after them"):
            await ctx.run_typed("greet", str.upper, "Ada")

    await commands(runs)
