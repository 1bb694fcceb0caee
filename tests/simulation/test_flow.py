"""Limits with real services in virtual time: what runs at once, who waits for whom, and what is refused."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

import perdure
from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.flow.rules import Limits, Matches, Rate, Rule, RuleDeletion, RulePut
from perdure.errors import Conflict, Overloaded
from tests.simulation.test_engine import House, in_virtual_time
from tests.simulation.virtual_loop import now_s


class Work:
    """A service of which each attempt at `work` takes a second without a suspension; `caller` calls it."""

    def __init__(self) -> None:
        self.service = perdure.Service("Work")
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[str] = []
        self.started_s: list[float] = []

        @self.service.handler()
        async def work(ctx: perdure.Context, name: str) -> str:
            self.order.append(name)
            self.started_s.append(now_s())

            async def second() -> None:
                with self._counted(name.split("-")[0]):
                    await asyncio.sleep(1)

            await ctx.run_typed("second", second)
            return name

        @self.service.handler()
        async def nap(ctx: perdure.Context, name: str) -> str:
            await ctx.sleep(timedelta(hours=1))
            return name

        @self.service.handler()
        async def caller(ctx: perdure.Context, name: str) -> str:
            return "called " + await ctx.scope("openai").service_call(work, name)

        @self.service.handler()
        async def outer(ctx: perdure.Context, name: str) -> str:
            return "called " + await ctx.service_call(work, name)

    @contextmanager
    def _counted(self, group: str) -> Iterator[None]:
        for each in (group, "all"):
            self.running[each] += 1
            self.most[each] = max(self.most[each], self.running[each])
        yield
        for each in (group, "all"):
            self.running[each] -= 1


async def call(
    engine: Engine, handler: str, name: str, scope: str | None = None, limit_key: str | None = None, priority: int = 0
) -> object:
    outcome = await engine.call(
        Target("Work", handler, scope=scope),
        msgspec.json.encode(name),
        headers=[("x-perdure-priority", str(priority))] if priority else (),
        limit_key=limit_key,
    )
    assert outcome.failure is None, outcome.failure
    return msgspec.json.decode(outcome.value or b"")


def test_limits_of_scope_and_key_hold_together_while_the_rest_goes_on() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("openai", Limits(4)), RulePut("openai/*", Limits(2)))
        before_s = now_s()
        limited = [call(engine, "work", f"{key}-{n}", "openai", key) for n in range(6) for key in ("ada", "bob")]
        free = [call(engine, "work", f"free-{n}") for n in range(20)]
        await asyncio.gather(*free)
        assert now_s() - before_s < 2, "what has no limit waits for none"
        await asyncio.gather(*limited)
        assert (work.most["ada"], work.most["bob"], work.most["free"]) == (2, 2, 20)
        assert 2.9 < now_s() - before_s < 5
        await house.close()

    in_virtual_time(test)


@pytest.mark.parametrize("pattern", ["service:Work", "handler:Work/work", "handler:*/work", "deployment:*"])
def test_a_limit_of_service_handler_or_deployment_holds_without_a_scope(pattern: str) -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut(pattern, Limits(3)))
        await asyncio.gather(*(call(engine, "work", f"a-{n}") for n in range(9)))
        assert work.most["all"] == 3
        await house.close()

    in_virtual_time(test)


def test_a_rate_spreads_what_begins() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("service:Work", Limits(rate=Rate(2, 10_000, 1))))
        await asyncio.gather(*(call(engine, "work", f"a-{n}") for n in range(4)))
        gaps = [round(later - earlier) for earlier, later in zip(work.started_s, work.started_s[1:], strict=False)]
        assert gaps == [5, 5, 5]
        await house.close()

    in_virtual_time(test)


def test_what_is_urgent_goes_first() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("service:Work", Limits(1)))
        first = asyncio.ensure_future(call(engine, "work", "first"))
        await asyncio.sleep(0.5)
        rest = [call(engine, "work", f"p{priority}", priority=priority) for priority in (-5, 0, 7, 3)]
        await asyncio.gather(first, *rest)
        assert work.order == ["first", "p7", "p3", "p0", "p-5"]
        await house.close()

    in_virtual_time(test)


@pytest.mark.parametrize(("version", "takes_s"), [(7, 5), (6, 65), (5, 65)])
def test_a_caller_and_its_callee_under_one_limit_of_one_do_not_block_each_other(version: int, takes_s: float) -> None:
    """From protocol 7 on, a service says that it only waits; before, the inactivity timeout has to find that out."""

    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service, version=version)
        await engine.rules.put(RulePut("service:Work", Limits(1)))
        before_s = now_s()
        assert await call(engine, "outer", "inner") == "called inner"
        assert now_s() - before_s < takes_s
        await house.close()

    in_virtual_time(test)


def test_what_sleeps_gives_its_slot_to_who_waits() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("service:Work", Limits(2)))
        before_s = now_s()
        naps = [asyncio.ensure_future(call(engine, "nap", f"nap-{n}")) for n in range(10)]
        await asyncio.sleep(0.5)
        await asyncio.gather(*(call(engine, "work", f"a-{n}") for n in range(4)))
        assert now_s() - before_s < 10
        await asyncio.gather(*naps)
        assert now_s() - before_s < 3_700
        await house.close()

    in_virtual_time(test)


def test_waiting_ones_say_for_what_and_leave_the_line_when_they_are_stopped() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("openai", Limits(1)))
        sent = [
            (await engine.send(Target("Work", "work", scope="openai"), msgspec.json.encode(f"n{n}"))).invocation_id
            for n in range(5)
        ]
        await asyncio.sleep(0.5)
        assert [engine.invocations.describe(id).waiting_reason for id in sent[1:]] == [
            "waits for a free slot of limit `openai`",
            "waits for a free slot of limit `openai`, 1 ahead",
            "waits for a free slot of limit `openai`, 2 ahead",
            "waits for a free slot of limit `openai`, 3 ahead",
        ]
        await engine.invocations.kill(sent[1])
        await engine.invocations.cancel(sent[2])
        await engine.invocations.pause(sent[3])
        await asyncio.sleep(3)
        assert work.order[:2] == ["n0", "n4"] or work.order[:3] == ["n0", "n2", "n4"]
        assert "n1" not in work.order
        assert "n3" not in work.order
        assert (await engine.attach(sent[4])).value == b'"n4"'
        await engine.invocations.resume(sent[3])
        assert (await engine.attach(sent[3])).value == b'"n3"'
        assert engine._ledger.flow.waiting == 0
        assert engine._ledger.flow.running == 0
        await house.close()

    in_virtual_time(test)


def test_a_line_is_the_same_after_a_restart_and_so_are_the_rules(tmp_path: Path) -> None:
    async def test() -> None:
        house, work = House(tmp_path), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("service:Work", Limits(1)))
        sent = [
            await engine.send(
                Target("Work", "work"), msgspec.json.encode(f"n{n}"), headers=[("x-perdure-priority", str(n % 2))]
            )
            for n in range(6)
        ]
        await asyncio.sleep(0.5)
        await engine.stop(grace_s=0)
        engine = await house.open(work.service)
        assert [rule.pattern for rule in engine.rules.all()] == ["service:Work"]
        for each in sent:
            await engine.attach(each.invocation_id)
        assert work.order == ["n0", "n0", "n1", "n3", "n5", "n2", "n4"] or work.order == [
            *("n0", "n1", "n3", "n5", "n0", "n2", "n4")
        ]
        assert work.most["all"] <= 2, "the one that was cut, and one more"
        await house.close()

    in_virtual_time(test)


def test_a_full_backlog_refuses_what_is_new_from_outside_and_nothing_else() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("openai", Limits(1, backlog=2)))
        target = Target("Work", "work", scope="openai")
        body = msgspec.json.encode("a")
        asked = [engine.send(target, body, idempotency_key=f"k{n}") for n in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Overloaded)]
        assert len(refused) == 2, answers
        assert str(refused[0]) == (
            "2 invocations wait to begin at limit `openai`, whose backlog is 2: Work/work was not taken in. Ask again "
            "later, or change rule `openai` if so many may wait"
        )
        again = await engine.send(target, body, idempotency_key="k0")
        assert not again.new, "what was taken in before is no news"
        assert await call(engine, "caller", "from a handler") == "called from a handler"
        delayed = await engine.send(target, body, delay_ms=1)
        assert delayed.new, "what is delayed counts from its time on"
        await house.close()

    in_virtual_time(test)


def test_the_engines_own_backlog_counts_those_that_wait_for_keys() -> None:
    async def test() -> None:
        house = House(backlog_max=3)
        keyed = perdure.VirtualObject("Keyed")

        @keyed.handler()
        async def hold(ctx: perdure.ObjectContext) -> None:
            await ctx.sleep(timedelta(hours=1))

        engine = await house.open(keyed)
        for _ in range(4):
            await engine.send(Target("Keyed", "hold", "k"), b"")
        with pytest.raises(Overloaded, match="3 invocations wait to begin at the engine, whose backlog is 3"):
            await engine.send(Target("Keyed", "hold", "k"), b"")
        await asyncio.sleep(3_700)
        await engine.send(Target("Keyed", "hold", "k"), b"")
        await house.close()

    in_virtual_time(test)


def test_rules_change_under_their_versions_or_not_at_all() -> None:
    async def test() -> None:
        house = House()
        engine = await house.open(Work().service)
        (rule,) = await engine.rules.put(RulePut("openai", Limits(1)))
        assert (rule.version, rule.limits.concurrency) == (1, 1)
        first = engine.rules.put(RulePut("openai", Limits(2), precondition=Matches(1)))
        second = engine.rules.put(RulePut("other"), RulePut("openai", Limits(3), precondition=Matches(1)))
        done, refused = await asyncio.gather(first, second, return_exceptions=True)
        assert isinstance(refused, Conflict)
        assert isinstance(done, list)
        rules: list[Rule] = engine.rules.all()
        assert [(rule.pattern, rule.version, rule.limits.concurrency) for rule in rules] == [("openai", 2, 2)]
        with pytest.raises(Conflict):
            await engine.rules.delete(RuleDeletion("openai", 1))
        assert await engine.rules.delete(RuleDeletion("openai", 2), RuleDeletion("nothing")) == ["openai"]
        assert engine.rules.all() == []
        await house.close()

    in_virtual_time(test)


def test_a_rule_that_goes_lets_all_through_at_once() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("service:Work", Limits(0)))
        calls = [asyncio.ensure_future(call(engine, "work", f"a-{n}")) for n in range(5)]
        await asyncio.sleep(10)
        assert work.order == []
        await engine.rules.delete(RuleDeletion("service:Work"))
        await asyncio.gather(*calls)
        assert work.most["all"] == 5
        await house.close()

    in_virtual_time(test)


def test_what_is_left_on_a_deployment_says_for_which_slot_it_waits() -> None:
    async def test() -> None:
        house, work = House(), Work()
        engine = await house.open(work.service)
        await engine.rules.put(RulePut("openai", Limits(0)))
        await engine.send(Target("Work", "work", scope="openai"), msgspec.json.encode("a"))
        await engine.send(Target("Work", "nap"), msgspec.json.encode("b"))
        await asyncio.sleep(0.5)
        (deployment_id,) = engine.registry.deployments
        left = engine.deployments.left.first(deployment_id, 10)
        assert [(each.target, each.waiting_reason) for each in left] == [
            ("Work/work", "waits for a free slot of limit `openai`"),
            ("Work/nap", "runs for 0.5 s, and waits for a timer that is due in 59 min"),
        ]
        await house.close()

    in_virtual_time(test)
