"""The scheduler: gives the slots of all limits to the invocations that wait for them, fairly, and without ever looking
at all of them.

An attempt holds a slot of each budget on its way (the engine's, and that of each limit that matches) from its start
until it suspends, fails or ends. A permit of a rate is taken by an invocation's first start only. Whatever could start,
starts: no slot is free while an invocation waits that needs no more than what is free.
"""

import heapq
from collections.abc import Iterable
from itertools import islice

from msgspec import Struct

from perdure.engine.flow.budgets import Budget, Way, used_up
from perdure.engine.flow.lanes import Lane, Place
from perdure.engine.flow.rules import Level, Limit, RuleBook
from perdure.engine.flow.tree import Line, Tree

_CACHED_LANES_MAX = 10_000
_BUDGETS_TO_SWEEP = 1_000


class Position(Struct, frozen=True):
    """What an invocation waits for. `limit` is None where it is a slot of the engine itself.

    `ahead`: how many go before it of its own lane (same handler, scope and limit key); lanes take turns.
    `due_ms`: when the limit's rate lets the next one begin; None where it waits for a slot.
    """

    limit: str | None
    ahead: int
    due_ms: int | None = None


class LimitUse(Struct, frozen=True):
    """A limit and its use now; `waiting` counts all invocations that wait and need a slot of it."""

    name: str
    level: Level
    pattern: str
    concurrency: int | None
    used: int
    waiting: int


class Refusal(Struct, frozen=True):
    """A backlog that has no place for one more. `limit` and `pattern` are None for the engine's own."""

    limit: str | None
    pattern: str | None
    waiting: int
    backlog: int
    retry_after_ms: int


class Slots:
    """`attempts_max` run at once in all, whatever the rules say."""

    def __init__(self, attempts_max: int, backlog_max: int, book: RuleBook | None = None) -> None:
        self._engine = Budget("", Level.ENGINE, attempts_max)
        self._backlog_max = backlog_max
        self._tree = Tree(self._engine)
        self._held: dict[int, tuple[Lane, Way]] = {}
        self._book = book or RuleBook()
        self._limits: dict[Lane, list[Limit]] = {}
        self._budgets: dict[str, Budget] = {}
        self._former: dict[str, Budget] = {}
        self._sweep_at = _BUDGETS_TO_SWEEP
        self._gates_due: list[tuple[int, str]] = []
        self._latest_ms = 0

    @property
    def running(self) -> int:
        """How many slots of the engine are held."""
        return self._engine.used

    @property
    def waiting(self) -> int:
        return self._engine.waiting

    @property
    def book(self) -> RuleBook:
        return self._book

    # ---- invocations that want a slot ----

    def refusal(self, lane: Lane, pending: int, now_ms: int) -> Refusal | None:
        """Which backlog is full for one more from outside; `pending` are those that wait to begin elsewhere."""
        for budget in self._way(lane):
            elsewhere = pending if budget is self._engine else 0
            backlog = self._backlog_max if budget is self._engine else budget.backlog
            would_wait = max(budget.would_wait(now_ms), 1 if elsewhere else 0) + elsewhere
            if backlog is not None and would_wait > backlog:
                pattern = budget.rule.pattern if budget.rule is not None else None
                return Refusal(budget.name or None, pattern, would_wait - 1, backlog, budget.retry_after_ms(now_ms))
        return None

    def announce(self, lane: Lane) -> None:
        """An invocation that has not begun is offered as soon as its row is on disk: backlogs count it from now on."""
        for budget in self._way(lane):
            budget.arriving += 1

    def offer(self, number: int, place: Place, now_ms: int) -> bool:
        """An invocation wants to start: whether it has its slots now. If not, it waits until `take` gives it."""
        if len(self._budgets) > self._sweep_at:
            self._sweep(now_ms)
        lane, _, begun = place
        way = self._way(lane)
        if not begun:
            for budget in way:
                if budget.arriving:  # it was announced, unless it comes from recovery, or the rule is new since
                    budget.arriving -= 1
        self._open_gates(now_ms)
        if not self._engine.waiting and used_up(way, begun=begun) is None:
            self._start(number, lane, way, now_ms, begun=begun)
            return True
        self.queue(number, place)
        return False

    def queue(self, number: int, place: Place) -> None:
        """An invocation waits until `take` gives it, be there slots or not."""
        lane, priority, begun = place
        line = self._tree.line(lane)
        if line is None:
            line = self._tree.grow(lane, self._way(lane))
        is_first = line.add(number, priority, begun=begun)
        for budget in line.way:
            budget.waiting += 1
            budget.fresh += not begun
            if budget.idle and budget.full:
                self._tree.wanted[budget] = None
        if is_first:
            self._tree.changed(line)

    def withdraw(self, number: int, place: Place) -> bool:
        """An invocation wants no slot any more: whether it waited for one."""
        lane, priority, begun = place
        line = self._tree.line(lane)
        if line is None or not line.remove(number, priority, begun=begun):
            return False
        self._left(line, begun=begun)
        self._tree.changed(line)
        return True

    def take(self, now_ms: int) -> int | None:
        """The next invocation to start, which has its slots by this; None if none can."""
        self._open_gates(now_ms)
        best = self._tree.best()
        if best is None:
            return None
        line, begun = best
        number = line.pop(begun=begun)
        self._left(line, begun=begun)
        changed = self._start(number, line.lane, line.way, now_ms, begun=begun)
        self._tree.served(line)
        for budget in changed:
            self._tree.budget_changed(budget)
        return number

    def release(self, number: int) -> None:
        """The attempt is over, or never was: its slots are free."""
        held = self._held.pop(number, None)
        if held is None:
            return
        for budget in held[1]:
            was_full = budget.full
            budget.used -= 1
            budget.idle.pop(number, None)
            budget.leaving.pop(number, None)
            if was_full:
                self._tree.budget_changed(budget)

    # ---- attempts that hold a slot and only wait ----

    def idles(self, number: int) -> None:
        """The attempt only waits for something: it could give up its slots."""
        held = self._held.get(number)
        for budget in held[1] if held is not None else ():
            if number not in budget.leaving:
                budget.idles(number)
                if budget.full and budget.waiting:
                    self._tree.wanted[budget] = None

    def works(self, number: int) -> None:
        """The attempt goes on."""
        held = self._held.get(number)
        for budget in held[1] if held is not None else ():
            budget.idle.pop(number, None)

    def reclaim(self) -> list[int]:
        """The attempts that should give up their slots to others, as they only wait: each is named once."""
        asked: list[int] = []
        wanted = self._tree.wanted
        while wanted:
            budget, _ = wanted.popitem()
            missing = budget.waiting - len(budget.leaving)
            if missing <= 0 or not budget.full or not self._tree.wants(budget):
                continue
            for number in list(islice(budget.idle, missing)):
                for each in self._held[number][1]:
                    each.leaves(number)
                asked.append(number)
        return asked

    # ---- rates ----

    def next_due_ms(self) -> int | None:
        """When a rate lets the next invocation begin; None if no rate holds any back."""
        return self._gates_due[0][0] if self._gates_due and self._engine.fresh else None

    def _open_gates(self, now_ms: int) -> None:
        due = self._gates_due
        if now_ms < self._latest_ms:  # the clock was set back: what was computed by it no longer holds
            due[:] = [(0, name) for _, name in due]
        self._latest_ms = now_ms
        while due and due[0][0] <= now_ms:
            _, name = heapq.heappop(due)
            budget = self._budgets.get(name)
            if budget is not None and budget.gate is not None and not budget.open:
                self._look_at_gate(budget, now_ms)
                if budget.open:
                    self._tree.budget_changed(budget)

    def _look_at_gate(self, budget: Budget, now_ms: int) -> None:
        assert budget.gate is not None, "a limit without a rate has no gate"
        due_ms = budget.gate.due_ms(now_ms)
        budget.open = due_ms <= now_ms
        if not budget.open:
            heapq.heappush(self._gates_due, (due_ms, budget.name))

    # ---- what people ask ----

    def position(self, number: int, place: Place, now_ms: int) -> Position | None:
        """What a waiting invocation waits for; None if it waits for nothing here."""
        lane, priority, begun = place
        line = self._tree.line(lane)
        if line is None or not line.holds(number, priority, begun=begun):
            return None
        ahead = line.ahead_of(number, priority, begun=begun)
        budget = used_up(line.way, begun=begun)
        if budget is None or budget is self._engine:
            return Position(None, ahead)
        due_ms = budget.gate.due_ms(now_ms) if budget.gate is not None and not budget.full else None
        return Position(budget.name, ahead, due_ms)

    def limits(self) -> list[LimitUse]:
        """All limits that are in use, or waited for, by name."""
        return [
            LimitUse(budget.name, budget.level, rule.pattern, budget.concurrency, budget.used, budget.waiting)
            for _, budget in sorted(self._budgets.items())
            if (rule := budget.rule) is not None and (budget.used or budget.waiting)
        ]

    # ---- rules ----

    def set_rules(self, book: RuleBook) -> None:
        """From now on these rules hold, also for what runs and waits. Looks at all lanes: rules change seldom."""
        lines = list(self._tree.lines())
        engine = self._engine
        idle, leaving = list(engine.idle), list(engine.leaving)
        engine.waiting = engine.fresh = 0
        self._book = book
        self._limits.clear()
        self._gates_due.clear()
        self._former, self._budgets = self._budgets, {}
        self._tree = Tree(engine)
        for number, (lane, _) in self._held.items():
            way = self._way(lane)
            self._held[number] = lane, way
            for budget in way[1:]:
                budget.used += 1
        for number in leaving:
            for budget in self._held[number][1]:
                budget.leaves(number)
        for line in lines:
            self._regrow(line)
        for number in idle:
            self.idles(number)

    def _regrow(self, old: Line) -> None:
        line = self._tree.grow(old.lane, self._way(old.lane))
        line.take_over(old)
        begun, fresh = line.counts()
        for budget in line.way:
            budget.waiting += begun + fresh
            budget.fresh += fresh
        self._tree.changed(line)

    # ---- budgets ----

    def _way(self, lane: Lane) -> Way:
        if not self._book:
            return (self._engine,)
        limits = self._limits.get(lane)
        if limits is None:
            if len(self._limits) >= _CACHED_LANES_MAX:
                self._limits.clear()
            limits = self._limits[lane] = self._book.limits_of(lane)
        return (self._engine, *(self._budgets.get(limit.name) or self._new_budget(limit) for limit in limits))

    def _new_budget(self, limit: Limit) -> Budget:
        budget = Budget(limit.name, limit.level, limit.rule.limits.concurrency, limit.rule)
        former = self._former.get(limit.name)
        gate = former.gate if former is not None else None
        if budget.gate is not None and gate is not None and gate.rate == budget.gate.rate:
            budget.gate = gate  # a change of another rule gives no permits anew
            budget.open = False
            heapq.heappush(self._gates_due, (0, budget.name))
        self._budgets[limit.name] = budget
        return budget

    def _start(self, number: int, lane: Lane, way: Way, now_ms: int, *, begun: bool) -> Iterable[Budget]:
        """Takes a slot of each budget, and a permit of each rate; the budgets that are used up by that."""
        assert number not in self._held, f"invocation {number} has its slots already"
        self._held[number] = lane, way
        changed: list[Budget] = []
        for budget in way:
            budget.used += 1
            if budget.gate is not None and not begun:
                budget.gate.take(now_ms)
                self._look_at_gate(budget, now_ms)
            if budget.full or not budget.open:
                changed.append(budget)
        return changed

    def _left(self, line: Line, *, begun: bool) -> None:
        for budget in line.way:
            budget.waiting -= 1
            budget.fresh -= not begun

    def _sweep(self, now_ms: int) -> None:
        """Forget the budgets that can be; the next time is when there are twice as many, so that it costs little."""
        self._former.clear()
        self._budgets = {name: each for name, each in self._budgets.items() if not each.at_rest(now_ms)}
        self._sweep_at = 2 * len(self._budgets) + _BUDGETS_TO_SWEEP
