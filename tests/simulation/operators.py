"""People beside the programs: those who answer what handlers wait for, and an operator who does all that can be done.

The operator's hand is on everything, but what changes outcomes (cancel, kill, restart, purge) befalls only the
invocations that the operator began, with all below them. So the programs must come to what they come to undisturbed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from perdure.engine.addresses import Address
from perdure.engine.answers import Failure
from perdure.engine.engine import Engine
from perdure.engine.events import Target
from perdure.engine.flow.rules import Limits, Rate, RuleDeletion, RulePut
from perdure.engine.schedules import Schedule
from perdure.errors import EngineStopping, PerdureError, UsageError
from tests.simulation.programs import Step, Wish, draw, expected

OWN = "own-"
"""How the idempotency keys of the operator's own invocations begin."""
PATIENCE = 50
"""How often the operator helps before what hangs is killed; with an hour in between, whoever sleeps has woken."""
OWN_KEY = "carol"
"""The object whose state only the operator changes."""
SECOND = "http://second/"
"""Where a second deployment serves the same code."""


OPERATIONS = {
    "pause",
    "resume",
    "cancel",
    "kill",
    "restart",
    "purge",
    "put rule",
    "delete rule",
    "register",
    "promote",
    "demote",
    "drain",
    "remove",
    "create schedule",
    "edit schedule",
    "trigger schedule",
    "delete schedule",
}
"""What an operator does, beside replacing state and granting wishes, which are insisted on."""


class Place(Protocol):
    """What the people know of their world."""

    engine: Engine | None

    async def an_engine(self) -> Engine: ...

    def query(self, sql: str) -> list[tuple[object, ...]]: ...


class Outsiders:
    """They complete awakeables, signals and promises, each some time after it was wished for."""

    def __init__(self, place: Place, hand: random.Random) -> None:
        self._place = place
        self._hand = hand
        self._wishes: asyncio.Queue[Wish] = asyncio.Queue()
        self._seen: set[Wish] = set()

    def wish(self, wish: Wish) -> None:
        if wish not in self._seen:
            self._seen.add(wish)
            self._wishes.put_nowait(wish)

    async def live(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                wish = await self._wishes.get()
                delay_s = self._hand.choice([0, 0, 0.01, 3, 100_000])
                group.create_task(self._grant(wish, delay_s))

    async def _grant(self, wish: Wish, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        # The engine may crash between its commit and its answer. Then the promise is complete, and says so.
        await insist(self._place, lambda engine: _granted(engine, wish), refused=True)


async def _granted(engine: Engine, wish: Wish) -> None:
    value = msgspec.json.encode(wish.value)
    failure = Failure(500, "rejected")
    match wish.way:
        case "awakeable" if wish.resolved:
            await engine.resolve_awakeable(wish.to, value)
        case "awakeable":
            await engine.reject_awakeable(wish.to, failure.message)
        case "signal":
            await engine.send_signal(wish.to, wish.name, value if wish.resolved else failure)
        case "promise":
            await engine.complete_promise("Flow", wish.to, wish.name, value)


async def insist(place: Place, ask: Callable[[Engine], Awaitable[object]], *, refused: bool = False) -> bool:
    """Asks until an engine answers: whether it did what was asked, and did not refuse, where it may be `refused`."""
    while True:
        engine = await place.an_engine()
        try:
            await ask(engine)
            return True
        except EngineStopping:
            await asyncio.sleep(0.01)
        except UsageError:
            if not refused:
                raise
            return False


class Operator:
    """`actions`: how many things are done until the programs are left alone."""

    def __init__(self, place: Place, hand: random.Random, actions: int) -> None:
        self._place = place
        self._hand = hand
        self._actions = actions
        self._families: dict[str, set[str]] = {}  # the operator's own invocations, each with all its relatives
        self._disturbed: set[str] = set()
        self._patience = PATIENCE
        self._begun = 0
        self._programs: dict[str, list[Step]] = {}  # by idempotency key
        self._ended: set[str] = set()
        self._purged: set[str] = set()
        self.done: Counter[str] = Counter()
        """How often what was done, and not refused."""
        self.total: int | None = None
        """What `OWN_KEY` has counted when all is done; None where it was never touched."""

    async def live(self) -> None:
        """Does what can be done, then stops to, resumes all that rests, and waits for the end of what was begun."""
        doings = [
            (self._pause, 4),
            (self._resume, 4),
            (self._describe, 2),
            (self._begin, 4),
            (self._cancel, 3),
            (self._kill, 3),
            (self._restart, 3),
            (self._purge, 3),
            (self._replace_state, 2),
            (self._rule, 2),
            (self._deploy, 6),
            (self._schedule, 6),
        ]
        do, weights = zip(*doings, strict=True)
        for _ in range(self._actions):
            await asyncio.sleep(self._hand.choice([0, 0.001, 0.02, 0.5, 30, 20_000]) * self._hand.random())
            await self._hand.choices(do, weights)[0]()
            self._check()

    async def retire(self) -> None:
        """Nothing is left behind that would keep the programs from ending, or begin more of them."""
        await insist(self._place, lambda engine: engine.schedules.delete("often"), refused=True)
        for pattern in _PATTERNS:
            await insist(self._place, lambda engine, pattern=pattern: engine.rules.delete(RuleDeletion(pattern)))

    async def help(self) -> bool:
        """Whether all has ended; what rests or has lost its code goes on by this, and what hangs is killed at last."""
        open_ones = self._invocations("status != 'completed'")
        known = {id for (id,) in self._place.query("select id from deployment")}
        self._patience -= 1
        for id, status, deployment in open_ones:
            if id in self._families and self._patience < 0:  # such as who waits for somebody who was killed
                self._disturbed.add(id)
                await self._ask("kill", lambda engine, id=id: engine.invocations.kill(id))
            elif status == "paused" or (deployment is not None and deployment not in known):
                await self._ask("resume", lambda engine, id=id: engine.invocations.resume(id, deployment="latest"))
        return not open_ones

    def check_own(self) -> None:
        """What came of the operator's own is what comes of it, but for the families of what was cancelled or purged."""
        self._check()
        engine = self._place.engine
        assert engine is not None
        for id, _, key in self._invocations(f"idempotency_key like '{OWN}%'", "idempotency_key"):
            outcome = engine.output(id)
            assert outcome is not None
            results = None if outcome.failure is not None else msgspec.json.decode(outcome.value or b"")
            wanted = expected(self._programs[str(key)])
            if self._disturbed.isdisjoint(self._families[id]):
                assert results == wanted, f"nobody disturbed {id}: {outcome}"
            elif outcome.failure is not None:
                assert outcome.failure.code in (404, 409), f"{id}: {outcome.failure}"
            else:
                assert _fits(results, wanted), f"{id} came to {results}"

    # ---- what is done to any invocation ----

    async def _pause(self) -> None:
        for id in self._any("status != 'completed'"):
            await self._ask("pause", lambda engine, id=id: engine.invocations.pause(id))

    async def _resume(self) -> None:
        paused = self._hand.random() < 0.8
        where = self._hand.choice(["keep", "keep", "latest", *self._deployments()])
        for id in self._any("status = 'paused'" if paused else "status != 'completed'"):
            await self._ask("resume", lambda engine, id=id: engine.invocations.resume(id, deployment=where))

    async def _describe(self) -> None:
        engine = self._place.engine
        for id in self._any("status != 'completed'") if engine is not None else ():
            try:
                view = engine.invocations.describe(id)
            except EngineStopping:
                return
            assert view.waiting_reason or view.status == "completed", f"{id} does not say why it waits"

    # ---- what is done to the operator's own ----

    async def _begin(self) -> None:
        self._begun += 1
        key = f"{OWN}{self._begun}"
        program = self._programs[key] = _without_counts(draw(self._hand))
        scope = self._hand.choice([None, None, "own", "scarce"])
        delay_ms = self._hand.choice([None, None, 20, 50_000])
        target = Target("Node", "run", scope=scope)
        body = msgspec.json.encode(program)
        await insist(
            self._place,
            lambda engine: engine.send(
                target, body, idempotency_key=key, limit_key="some" if scope else None, delay_ms=delay_ms
            ),
        )

    async def _cancel(self) -> None:
        kill_after_ms = self._hand.choice([None, 0, 10, 10_000])
        for id in self._any("status != 'completed'", own=True):
            self._disturbed.add(id)
            await self._ask("cancel", lambda engine, id=id: engine.invocations.cancel(id, kill_after_ms=kill_after_ms))

    async def _kill(self) -> None:
        for id in self._any("status != 'completed'", own=True):
            self._disturbed.add(id)
            if await self._ask("kill", lambda engine, id=id: engine.invocations.kill(id)):
                self._ended.add(id)

    async def _restart(self) -> None:
        entry = self._hand.choice([0, 0, 1, 2, 5])
        for id in self._any("status = 'completed'", own=True):
            self._disturbed.add(id)
            await self._ask("restart", lambda engine, id=id: engine.invocations.restart_as_new(id, from_entry=entry))

    async def _purge(self) -> None:
        journal_only = self._hand.random() < 0.3
        comes_again = self._hand.random() < 0.3  # a workflow's id is made of its key, and whoever restarts its caller
        where = f"status = 'completed' and service {'=' if comes_again else '<>'} 'Flow'"
        for id in self._any(where, own=True):
            self._disturbed.add(id)
            done = await self._ask(
                "purge", lambda engine, id=id: engine.invocations.purge(id, journal_only=journal_only)
            )
            if done and not journal_only:
                self._ended.discard(id)
                if not comes_again:
                    self._purged.add(id)

    # ---- what is done to the engine ----

    async def _replace_state(self) -> None:
        """Each replacement and each count has its turn at the key, in the order in which they were asked for."""
        start, more = self._hand.randint(0, 99), self._hand.randint(0, 99)
        state = {"total": msgspec.json.encode(start)}
        await insist(self._place, lambda engine: engine.objects.replace_state("Counter", OWN_KEY, state))
        self._begun += 1
        target, key = Target("Counter", "run", OWN_KEY), f"count-{self._begun}"
        body = msgspec.json.encode([["count", more]])
        await insist(self._place, lambda engine: engine.send(target, body, idempotency_key=key))
        self.total = start + more

    async def _rule(self) -> None:
        pattern = self._hand.choice(_PATTERNS)
        if self._hand.random() < 0.3:
            await self._ask("delete rule", lambda engine: engine.rules.delete(RuleDeletion(pattern)))
            return
        rate = self._hand.choice([None, None, Rate(5, 1_000)])
        limits = Limits(concurrency=self._hand.choice([None, 1, 2]), rate=rate)
        await self._ask("put rule", lambda engine: engine.rules.put(RulePut(pattern, limits)))

    async def _deploy(self) -> None:
        embedded, *others = self._deployments() or [""]
        what = self._hand.choice(["register", "promote", "demote", "drain", "remove", "force"])
        if what == "register" or not others:
            await self._ask("register", lambda engine: engine.deployments.register(Address(SECOND)))
            return
        chosen = self._hand.choice([embedded, *others] if what in ("promote", "demote") else others)
        match what:
            case "promote":
                await self._ask("promote", lambda engine: engine.deployments.promote(chosen))
            case "demote":
                await self._ask("demote", lambda engine: engine.deployments.demote(chosen))
            case "drain":
                await self._ask("drain", lambda engine: engine.deployments.drain(chosen))
            case how:
                await self._ask("remove", lambda engine: engine.deployments.remove(chosen, force=how == "force"))

    async def _schedule(self) -> None:
        schedule = Schedule(id="often", target=Target("Node", "run"), every_ms=3_600_000, input=b'[["run",1]]')
        exists = self._place.query("select name from setting where kind = 'schedule'")
        match self._hand.choice(["pause", "trigger", "trigger", "delete"] if exists else ["create"]):
            case "create":
                await self._ask("create schedule", lambda engine: engine.schedules.create(schedule))
            case "pause":
                await self._ask("edit schedule", _paused)
            case "trigger":
                await self._ask("trigger schedule", lambda engine: engine.schedules.trigger("often"))
            case _:
                await self._ask("delete schedule", lambda engine: engine.schedules.delete("often"))

    # ---- looking ----

    async def _ask(self, name: str, what: Callable[[Engine], Awaitable[object]]) -> bool:
        """Asks once: whether it was done. What is refused was not, what a dying engine was asked may have been."""
        try:
            if self._place.engine is None:
                return False
            await what(self._place.engine)
            self.done[name] += 1
            return True
        except (UsageError, EngineStopping):
            return False
        except PerdureError as error:
            raise AssertionError(f"this is no answer for an operator: {error!r}") from error

    def _any(self, where: str, *, own: bool = False) -> list[str]:
        """One of the invocations that are on disk, or none."""
        rows = self._invocations(where)
        ids = [id for id, _, _ in rows if id in self._families or not own]
        return [self._hand.choice(ids)] if ids else []

    def _deployments(self) -> list[str]:
        return [str(id) for (id,) in self._place.query("select id from deployment order by position")]

    def _invocations(self, where: str, third: str = "deployment_id") -> list[tuple[str, str, object]]:
        """Invocations in order of their arrival. What the operator's own called, or is restarted from, is own too."""
        families = "select id, caller_id, restarted_from, idempotency_key from invocation order by number"
        for id, caller, former, key in self._place.query(families):
            relatives = [self._families[str(each)] for each in (id, caller, former) if each in self._families]
            if relatives or str(key).startswith(OWN):
                family = {str(id)}.union(*relatives)
                self._families.update(dict.fromkeys(family, family))
        rows = self._place.query(f"select id, status, {third} from invocation where {where} order by number")
        return [(str(id), str(status), value) for id, status, value in rows]

    def _check(self) -> None:
        """What was told is on disk, and stays there whatever crashes."""
        there = {id: status for id, status, _ in self._invocations("true")}
        back = self._purged & there.keys()
        assert not back, f"purged ones came back: {back}"
        alive = [id for id in self._ended if there.get(id, "completed") != "completed"]
        assert not alive, f"killed, and alive again: {alive}"


_PATTERNS = ["service:Node", "service:*", "handler:Counter/run", "deployment:*", "own", "scarce/*", "handler:*/*"]


async def _paused(engine: Engine) -> None:
    schedule = engine.schedules.get("often").schedule
    await engine.schedules.edit(msgspec.structs.replace(schedule, paused=not schedule.paused))


def _without_counts(program: list[Step]) -> list[Step]:
    """The same, but that it counts nothing: it may be stopped half-way, or done twice."""
    return [
        ["run", step[1]]
        if step[0] == "count"
        else [
            [_without_counts(branch) for branch in part]
            if step[0] == "gather" and index == 1
            else _without_counts(part)
            if isinstance(part, list)
            else part
            for index, part in enumerate(step)
        ]
        for step in program
    ]


def _fits(result: object, wanted: object) -> bool:
    """Whether a result is as it was to be, but for what failed, wherever it did, since somebody ended a call."""
    if isinstance(result, list) and isinstance(wanted, list):
        return len(result) == len(wanted) and all(map(_fits, result, wanted))
    return result == wanted or result in ("cancelled", "killed", "terminal 404", "terminal 409")
