"""The harness: virtual time, real I/O beside it, fakes, and what it says when nothing can happen any more."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

import perdure
from perdure.engine.engine import Engine as Core
from perdure.errors import Conflict, EngineStopping, TerminalError, UsageError
from perdure.testing import Harness, StandsStill

agent = perdure.Service("Agent")
counter = perdure.VirtualObject("Counter")
approval = perdure.Workflow("Approval")


@agent.handler()
async def remind(ctx: perdure.Context, text: str) -> float:
    before = await ctx.time()
    await ctx.sleep(timedelta(days=30))
    return await ctx.time() - before


@agent.handler()
async def flaky(ctx: perdure.Context) -> int:
    tries = 0

    async def ask() -> int:
        nonlocal tries
        tries = len(FAILURES)
        if tries < 3:
            FAILURES.append("down")
            raise RuntimeError("the model is down")
        return tries

    return await ctx.run_typed("ask", ask)


FAILURES: list[str] = []


@agent.handler()
async def ask_person(ctx: perdure.Context, hours: int) -> str:
    id, answer = ctx.awakeable(type_hint=str)
    ctx.service_send(tell_person, id)
    which, said = await perdure.select(answer=answer, late=ctx.sleep(timedelta(hours=hours)))
    return f"answered {said}" if which == "answer" else "nobody answered"


@agent.handler()
async def tell_person(ctx: perdure.Context, id: str) -> None: ...


@agent.handler()
async def waits_for_ever(ctx: perdure.Context) -> str:
    _, answer = ctx.awakeable(type_hint=str)
    return await answer


@agent.handler()
def plain(ctx: perdure.Context, days: int) -> str:
    ctx.sleep(timedelta(days=days)).result()
    ctx.run_typed("work", lambda: time.sleep(0.02)).result()
    return "done"


@agent.handler()
async def by_thread(ctx: perdure.Context) -> str:
    async def work() -> str:
        async with asyncio.timeout(60):
            await asyncio.to_thread(time.sleep, 0.1)
        return "worked"

    return await ctx.run_typed("work", work)


@agent.handler()
async def over_tcp(ctx: perdure.Context, port: int) -> str:
    async def request() -> str:
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            line = await reader.readline()
            writer.close()
        return line.decode()

    return await ctx.run_typed("request", request)


@counter.handler()
async def add(ctx: perdure.ObjectContext, by: int) -> int:
    total = (await ctx.get("total", type_hint=int) or 0) + by
    ctx.set("total", total)
    return total


@approval.main()
async def decide(ctx: perdure.WorkflowContext, claim: str) -> str:
    decision = await ctx.promise("decision", type_hint=str).value()
    return f"{claim}: {decision}"


SERVICES = [agent, counter, approval]


async def test_thirty_days_pass_in_milliseconds() -> None:
    begun = time.monotonic()
    async with Harness(SERVICES) as h:
        started = h.now
        assert started == datetime(2030, 1, 1, tzinfo=UTC)
        assert await h.call(remind, "call mum") == pytest.approx(30 * 86_400, abs=1)
        assert h.now - started >= timedelta(days=30)
    assert time.monotonic() - begun < 60


async def test_retries_back_off_in_virtual_time() -> None:
    FAILURES.clear()
    async with Harness(SERVICES) as h:
        started = h.now
        assert await h.call(flaky) == 3
        assert timedelta(seconds=3.5) <= h.now - started < timedelta(seconds=5)  # 0.5 + 1 + 2


@pytest.mark.parametrize("answered", [True, False])
async def test_an_awakeable_with_a_timeout(answered: bool) -> None:
    async with Harness(SERVICES) as h:
        told = h.fake(tell_person)
        sent = await h.send(ask_person, 48)
        await h.advance(timedelta(hours=47))
        if answered:
            await h.resolve_awakeable(told.calls[0].arg, "yes")
        assert await h.attach(ask_person, sent.invocation_id) == ("answered yes" if answered else "nobody answered")


async def test_objects_keep_state() -> None:
    async with Harness(SERVICES) as h:
        totals = await asyncio.gather(*(h.call(add, 1, key="a") for _ in range(5)))
        assert sorted(totals) == [1, 2, 3, 4, 5]
        await h.restart()
        assert h.state(counter, "a") == {"total": 5}
        assert await h.call(add, 1, key="a", idempotency_key="once") == 6
        assert await h.call(add, 1, key="a", idempotency_key="once") == 6


async def test_the_state_of_an_object_in_a_scope_is_its_own() -> None:
    async with Harness(SERVICES) as h:
        await h.call(add, 1, key="a")
        assert await h.call(add, 5, key="a", scope="acme", limit_key="ada", priority=3) == 5
        assert h.state(counter, "a") == {"total": 1}
        assert h.state(counter, "a", scope="acme") == {"total": 5}
        assert h.state(counter, "a", scope="other") == {}
        assert h.all_state() == {"Counter/a/total": 1, "acme:Counter/a/total": 5}


async def test_a_workflow_is_told_what_it_waits_for() -> None:
    async with Harness(SERVICES) as h:
        sent = await h.send(decide, "claim", key="7")
        await h.settle()
        await h.resolve_promise("Approval", "7", "decision", "approved")
        assert await h.attach(decide, sent.invocation_id) == "claim: approved"


async def test_signals_and_cancels() -> None:
    async with Harness(SERVICES) as h:
        sent = await h.send(waits_for_ever)
        await h.settle()
        await h.cancel(sent.invocation_id)
        with pytest.raises(TerminalError, match="cancel"):
            await h.attach(waits_for_ever, sent.invocation_id)


async def test_a_plain_handler_waits_in_its_thread_and_time_jumps() -> None:
    async with Harness(SERVICES) as h:
        assert await h.call(plain, 30) == "done"


async def test_time_does_not_jump_over_a_thread() -> None:
    async with Harness(SERVICES) as h:
        started = h.now
        assert await h.call(by_thread) == "worked"
        assert h.now - started < timedelta(seconds=30)


async def test_time_does_not_jump_over_a_real_request() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, Harness(SERVICES) as h:
        nap = asyncio.ensure_future(h.call(remind, "meanwhile"))
        assert await h.call(over_tcp, server.sockets[0].getsockname()[1]) == "hello\n"
        assert not nap.done()
        await nap


async def test_asyncio_sleep_is_virtual() -> None:
    async with Harness(SERVICES) as h:
        started, begun = h.now, time.monotonic()
        await asyncio.sleep(3600)
        assert h.now - started == timedelta(hours=1)
        assert time.monotonic() - begun < 60


async def test_timers_fire_however_late_the_clock_is() -> None:
    async with Harness(SERVICES) as h:
        for days in (100, 10_000, 100_000):
            await h.advance(timedelta(days=days))
            for ms in (1, 7, 13):
                await asyncio.sleep(ms / 1000)


async def test_time_is_real_again_afterwards() -> None:
    loop = asyncio.get_running_loop()
    async with Harness(SERVICES) as h:
        await h.advance(timedelta(days=1))
        inside = loop.time()
    begun = time.monotonic()
    await asyncio.sleep(0.05)
    assert time.monotonic() - begun >= 0.04
    assert 0.04 <= loop.time() - inside < 3600


async def test_what_a_send_gave_names_its_invocation() -> None:
    async with Harness(approval) as h:
        sent = await h.send(decide, "claim", key="k")
        point = h.crash_at(sent, 1, before=True)
        await h.resolve_promise("Approval", "k", "decision", "yes")
        assert await h.attach(decide, sent) == "claim: yes"
        assert point.reached
        assert (await h.outcome(sent)).value == b'"claim: yes"'
        assert h.journal(sent).types()[0] == "input"
        assert len(h.envelopes(sent)) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: Harness(counter, approval),
        lambda: Harness([counter], approval, patience=timedelta(days=1)),
        lambda: Harness(services=[counter, approval]),
        lambda: Harness(perdure.app([counter]), approval),
    ],
)
async def test_services_come_one_after_the_other_or_in_a_list(make: Callable[[], Harness]) -> None:
    async with make() as h:
        await h.resolve_promise("Approval", "k", "decision", "yes")
        assert await h.call(decide, "claim", key="k") == "claim: yes"
        assert await h.call(add, 2, key="k") == 2
    with pytest.raises(UsageError, match="is not a service: pass Service"):
        Harness(counter, [approval])  # type: ignore[arg-type]


async def test_fakes_stand_in_for_handlers_that_are_not_deployed() -> None:
    caller = perdure.Service("Caller")

    @caller.handler()
    async def go(ctx: perdure.Context, n: int) -> bytes:
        return await ctx.generic_call("Remote", "run", b'{"n": %d}' % n)

    async with Harness(caller) as h:
        remote = h.fake("Remote/run", lambda arg: {"twice": arg["n"] * 2}, fails=2)
        assert await h.call(go, 21) == b'{"twice":42}'
        assert remote.arguments == [{"n": 21}]
        assert remote.calls[0].attempts == 3
        h.fake("Remote/run", TerminalError("no such claim", 404))
        with pytest.raises(TerminalError, match="no such claim"):
            await h.call(go, 1)
        h.fake("Remote/run", fails=[TerminalError("no"), ValueError("again")])
        with pytest.raises(TerminalError, match="no"):
            await h.call(go, 1)


async def test_the_journal_can_be_asserted_on() -> None:
    async with Harness(SERVICES) as h:
        FAILURES[:] = ["down"] * 3
        await h.call(flaky)
        journal = h.journal(h.invocations(flaky)[-1].id)
        assert journal.types() == ["input", "run", "output"]
        assert journal.names() == ["ask"]
        [run] = journal.runs("ask")
        assert (run.value, run.completed, run.failure) == (3, True, None)
        assert "1: run 'ask': 3" in repr(journal)


async def test_what_never_comes_is_an_error_that_says_what_it_is() -> None:
    async with Harness(SERVICES) as h:
        with pytest.raises(StandsStill, match="Agent/waits_for_ever never ends") as caught:
            await h.call(waits_for_ever)
        assert "awakeable" in str(caught.value) or "suspended" in str(caught.value)


async def test_a_paused_invocation_is_an_error_with_its_last_failure() -> None:
    async with Harness(SERVICES) as h:
        h.fake(tell_person, ValueError("always wrong"))
        with pytest.raises(StandsStill, match="always wrong"):
            await h.call(tell_person, "x")


async def test_without_retries_the_first_failure_is_shown() -> None:
    FAILURES.clear()
    async with Harness(SERVICES, disable_retries=True) as h:
        with pytest.raises(StandsStill, match="the model is down") as caught:
            await h.call(flaky)
        assert "test_harness.py" in str(caught.value)
        assert len(FAILURES) == 1


async def test_a_handler_that_never_ends_runs_out_of_patience() -> None:
    service = perdure.Service("Poller")

    @service.handler()
    async def poll(ctx: perdure.Context) -> None:
        while True:
            await ctx.sleep(timedelta(days=1))

    async with Harness(service, patience=timedelta(days=100)) as h:
        with pytest.raises(StandsStill, match="100 days"):
            await h.call(poll)


async def test_outside_of_its_block_it_says_how_it_is_used() -> None:
    h = Harness(SERVICES)
    with pytest.raises(UsageError, match="async with"):
        await h.call(remind, "x")
    async with h:
        pass
    with pytest.raises(UsageError, match="async with"):
        await h.advance(timedelta(1))


async def test_an_unknown_handler_is_named() -> None:
    async with Harness(agent) as h:
        with pytest.raises(UsageError, match="Counter"):
            await h.call(add, 1, key="a")


def test_it_works_under_asyncio_run() -> None:
    async def main() -> float:
        async with Harness(SERVICES) as h:
            return await h.call(remind, "x")

    assert asyncio.run(main()) > 0


class Told(Harness):
    """Tells its engine what the test wants, and crashes it before it has said that it is done."""

    async def crashes_once(self, deed: Callable[[Core], Awaitable[object]], *, once_only: bool) -> None:
        crashed = False

        async def crashing(engine: Core) -> None:
            nonlocal crashed
            await deed(engine)
            if not crashed:
                crashed = True
                self.crash()
                raise EngineStopping("crashed")

        await (self._tell(crashing) if once_only else self._ask(crashing))


async def test_what_was_done_before_a_crash_is_not_refused_after_it() -> None:
    async with Told(SERVICES) as h:
        sent = await h.send(waits_for_ever)
        await h.settle()
        await h.crashes_once(lambda engine: engine.invocations.kill(sent.invocation_id), once_only=True)
        assert [each.status for each in h.invocations(waits_for_ever)] == ["completed"]
        with pytest.raises(Conflict, match="ended already"):
            await h.kill(sent.invocation_id)


async def test_a_conflict_after_a_crash_is_no_answer_to_a_question() -> None:
    async with Told(SERVICES) as h:
        sent = await h.send(waits_for_ever)
        await h.settle()
        with pytest.raises(Conflict, match="ended already"):
            await h.crashes_once(lambda engine: engine.invocations.kill(sent.invocation_id), once_only=False)
