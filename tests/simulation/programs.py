"""Random programs for agents: drawn from a seed, run by services that interpret them, and known beforehand.

A program is a list of steps. The same list is the handler's input, so one generic service can be any agent.
"""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from perdure.errors import TerminalError, TimedOut
from perdure.sdk.capabilities.run_options import RunOptions
from perdure.sdk.capabilities.runs import run_key
from perdure.sdk.combinators import gather, select
from perdure.sdk.context import Context, ObjectContext, WorkflowContext, WorkflowSharedContext
from perdure.sdk.service import Service
from perdure.sdk.virtual_object import VirtualObject
from perdure.sdk.workflow import Workflow

Step = list[Any]  # Any: JSON
KEYS = ("ada", "bob")
DEPTH_MAX = 3


def draw(random: random.Random, depth: int = 0, *, in_object: bool = False) -> list[Step]:
    """A program. Objects call nobody, so that no two of them can wait for each other."""
    steps: list[Step] = []
    for _ in range(random.randint(1, 4)):
        kinds = ["run", "flaky", "failing", "sleep", "race", "uuid"]
        if in_object:
            kinds += ["count", "count"]
        elif depth < DEPTH_MAX:
            kinds += [
                "call",
                "send",
                "object",
                "gather",
                "awakeable",
                "workflow",
                "terminal",
                "cancel",
                "attach",
                "later",
                "outside",
                "limited",
                "circle",
            ]
        kind = random.choice(kinds)
        value = random.randint(0, 999)
        below = draw(random, depth + 1) if kind in ("call", "send", "terminal", "workflow") else []
        match kind:
            case "run" | "failing" | "uuid" | "attach" | "cancel":
                steps.append([kind, value])
            case "flaky":
                steps.append([kind, value, random.randint(1, 3)])
            case "sleep":
                steps.append([kind, random.choice([0, 1, 50, 5_000, 86_400_000])])
            case "race":
                steps.append([kind, value, random.randint(0, 100)])
            case "count":
                steps.append([kind, value])
            case "call" | "send" | "terminal":
                steps.append([kind, below])
            case "object":
                steps.append([kind, random.choice(KEYS), draw(random, depth + 1, in_object=True)])
            case "later":
                steps.append(
                    [kind, random.choice(KEYS), draw(random, depth + 1, in_object=True), random.choice([0, 30])]
                )
            case "gather":
                steps.append([kind, [draw(random, depth + 1) for _ in range(random.randint(2, 3))]])
            case "awakeable":
                steps.append([kind, value, random.choice([0, 10, 10_000])])
            case "workflow":
                steps.append(
                    [kind, f"wf-{random.getrandbits(60)}", value, below, random.choice(["handler", "outside"])]
                )
            case "outside":
                steps.append([kind, random.choice(["awakeable", "signal"]), value, random.choice([True, False])])
            case "limited":
                steps.append([kind, random.choice([1, 60, 10_000])])
            case "circle":
                steps.append([kind, f"circle-{random.getrandbits(60)}"])
            case _:
                raise AssertionError(kind)
    return steps


def expected(program: list[Step]) -> list[Any]:
    """What a program returns, whatever fails in between."""
    results: list[Any] = []
    for step in program:
        match step:
            case ["run" | "flaky" | "awakeable" | "attach", value, *_]:
                results.append(value)
            case ["failing", value]:
                results.append(f"failed {value}")
            case ["sleep", *_] | ["send", *_] | ["uuid", *_] | ["later", *_]:
                results.append(None)
            case ["cancel", _]:
                results.append("terminal 409")
            case ["race", *_]:
                results.append("raced")
            case ["count", _]:
                results.append(None)
            case ["call", below]:
                results.append(expected(below))
            case ["terminal", _]:
                results.append("terminal 418")
            case ["object", _, below]:
                results.append(expected(below))
            case ["workflow", _, value, below, _]:
                results.append([value, expected(below)])
            case ["outside", _, value, resolved]:
                results.append(value if resolved else "terminal 500")
            case ["limited", _]:
                results.append("raced")
            case ["circle", _]:
                results.append("terminal 508")
            case ["gather", branches]:
                results.append([expected(branch) for branch in branches])
            case _:
                raise AssertionError(step)
    return results


def counts(program: list[Step], key: str | None = None) -> Counter[str]:
    """What each object key has counted when all is done."""
    total: Counter[str] = Counter()
    for step in program:
        match step:
            case ["count", value]:
                assert key is not None
                total[key] += value
            case ["object", object_key, below] | ["later", object_key, below, _]:
                total += counts(below, object_key)
            case ["call" | "send" | "terminal", below] | ["workflow", _, _, below, _]:
                total += counts(below)
            case ["gather", branches]:
                for branch in branches:
                    total += counts(branch)
            case _:
                pass
    return total


@dataclass
class Effects:
    """The outside world: what each run did to it, by the run's key. `recorded` asks the journal on disk."""

    recorded: Callable[[str], bool]
    executions: Counter[str] = field(default_factory=Counter[str])

    def happen(self) -> int:
        """A run touches the world; how often it has done so. One whose result is on disk must not."""
        key = run_key()
        assert not self.recorded(key), f"the run {key} was recorded, and runs again"
        self.executions[key] += 1
        return self.executions[key]


Way = Literal["awakeable", "signal", "promise"]


@dataclass(frozen=True)
class Wish:
    """What a handler waits for from outside: to whom it goes (an id, or a workflow's key), by which name, and what."""

    way: Way
    to: str
    name: str
    value: int
    resolved: bool = True


class Agents:
    """The services that interpret programs. `wish` is told what they wait for from outside, maybe more than once."""

    def __init__(self, effects: Effects, wish: Callable[[Wish], None]) -> None:
        self.effects = effects
        self.wish = wish
        node = Service("Node")
        counter = VirtualObject("Counter")
        flow = Workflow("Flow")
        self.services = [node, counter, flow]

        @node.handler("run")
        async def run_node(ctx: Context, program: list[Any]) -> list[Any]:
            return await self.interpret(ctx, program)

        @node.handler("fail")
        async def fail_node(ctx: Context, program: list[Any]) -> list[Any]:
            await self.interpret(ctx, program)
            raise TerminalError("teapot", status_code=418)

        @node.handler("resolve")
        async def resolve(ctx: Context, what: list[Any]) -> None:
            id, value, delay_ms = what
            await ctx.sleep(timedelta(milliseconds=delay_ms))
            ctx.resolve_awakeable(id, value)
            ctx.resolve_awakeable(id, value + 1)  # too late: the first counts

        @counter.handler("run")
        async def run_counter(ctx: ObjectContext, program: list[Any]) -> list[Any]:
            return await self.interpret(ctx, program)

        @counter.handler("circle")
        async def circle(ctx: ObjectContext, others: list[str]) -> str:
            if not others:
                return "there is no circle"
            try:
                return await ctx.object_call(circle, others[0], others[1:])
            except TerminalError as error:
                return f"terminal {error.status_code}"

        @flow.main("run")
        async def run_flow(ctx: WorkflowContext, what: list[Any]) -> list[Any]:
            _, program = what
            result = await self.interpret(ctx, program)
            value = await ctx.promise("answer", type_hint=int).value()
            return [value, result]

        @flow.handler("answer")
        async def answer_flow(ctx: WorkflowSharedContext, value: int) -> None:
            await ctx.promise("answer", type_hint=int).resolve(value)

        self.run_node = run_node
        self.fail_node = fail_node
        self.resolve = resolve
        self.run_counter = run_counter
        self.circle = circle
        self.run_flow = run_flow
        self.answer_flow = answer_flow

    async def interpret(self, ctx: Context, program: list[Step]) -> list[Any]:
        return [await self.step(ctx, step) for step in program]

    async def step(self, ctx: Context, step: Step) -> Any:
        match step:
            case ["run", value]:
                return await ctx.run_typed("run", self._give, value=value)
            case ["flaky", value, failures]:
                options = RunOptions[int](initial_retry_interval=timedelta(milliseconds=10))
                return await ctx.run_typed("flaky", self._flaky, options, value=value, failures=failures)
            case ["failing", value]:
                try:
                    await ctx.run_typed("failing", self._failing, value=value)
                except TerminalError as error:
                    return error.message
            case ["uuid", _]:
                # A command whose payload is random, drawn anew on each attempt: it must be the same each time.
                key = str(ctx.uuid())
                ctx.generic_send("Node", "run", b"[]", idempotency_key=key)
            case ["sleep", delay_ms]:
                await ctx.sleep(timedelta(milliseconds=delay_ms))
            case ["race", value, delay_ms]:
                winner, _ = await select(
                    run=ctx.run_typed("racer", self._give, value=value),
                    sleep=ctx.sleep(timedelta(milliseconds=delay_ms)),
                )
                # Whichever won, the code takes another way: a replay that sees another order does not fit.
                if winner == "run":
                    await ctx.run_typed("after the run", self._give, value=value)
                else:
                    await ctx.sleep(timedelta(milliseconds=1), name="after the sleep")
                return "raced"
            case ["count", value]:
                assert isinstance(ctx, ObjectContext)
                before = await ctx.get("total", type_hint=int) or 0
                ctx.set("total", before + value)
            case ["call", below]:
                return await ctx.service_call(self.run_node, below)
            case ["send", below]:
                ctx.service_send(self.run_node, below, send_delay=timedelta(milliseconds=5))
            case ["terminal", below]:
                try:
                    await ctx.service_call(self.fail_node, below)
                except TerminalError as error:
                    return f"terminal {error.status_code}"
            case ["cancel", _]:
                call = ctx.service_call(self.run_node, [["call", [["sleep", 86_400_000]]]])
                await ctx.sleep(timedelta(milliseconds=20))
                await call.cancel_invocation()
                try:
                    await call
                except TerminalError as error:
                    return f"terminal {error.status_code}"
            case ["attach", value]:
                sent = ctx.service_send(self.run_node, [["run", value]])
                return (await ctx.attach_invocation(await sent.invocation_id(), type_hint=list[int]))[0]
            case ["later", key, below, delay_ms]:
                ctx.object_send(self.run_counter, key, below, send_delay=timedelta(milliseconds=delay_ms))
            case ["object", key, below]:
                return await ctx.object_call(self.run_counter, key, below)
            case ["workflow", key, value, below, who]:
                if who == "outside":
                    self.wish(Wish("promise", key, "answer", value))
                result = ctx.workflow_call(self.run_flow, key, [value, below])
                if who == "handler":
                    await ctx.workflow_call(self.answer_flow, key, value)
                return await result
            case ["outside", way, value, resolved]:
                if way == "awakeable":
                    id, answer = ctx.awakeable(type_hint=int)
                    self.wish(Wish("awakeable", id, "", value, resolved))
                else:
                    name = str(ctx.uuid())
                    answer = ctx.signal(name, type_hint=int)
                    self.wish(Wish("signal", ctx.request().id, name, value, resolved))
                try:
                    return await answer
                except TerminalError as error:
                    return f"terminal {error.status_code}"
            case ["limited", limit_ms]:
                with suppress(TimedOut):
                    await ctx.service_call(self.run_node, [["sleep", 50]], timeout=timedelta(milliseconds=limit_ms))
                return "raced"
            case ["circle", name]:
                keys = [f"{name}-a", f"{name}-b", f"{name}-a"]
                return await ctx.object_call(self.circle, keys[0], keys[1:])
            case ["gather", branches]:
                return [await done for done in await gather(*(ctx.service_call(self.run_node, b) for b in branches))]
            case ["awakeable", value, delay_ms]:
                id, answer = ctx.awakeable(type_hint=int)
                ctx.service_send(self.resolve, [id, value, delay_ms])
                return await answer
            case _:
                raise AssertionError(step)
        return None

    async def _give(self, value: int) -> int:
        self.effects.happen()
        return value

    async def _flaky(self, value: int, failures: int) -> int:
        if self.effects.happen() <= failures:
            raise ConnectionError("flaky")
        return value

    async def _failing(self, value: int) -> int:
        self.effects.happen()
        raise TerminalError(f"failed {value}")
