"""Whose turn it is: all lines of waiting invocations, in a tree of the budgets that they pass.

The root is the engine's budget; below each budget are those that are shared by fewer, and the lines themselves, which
are the leaves. A budget that only one line passes is no node, it is that line's own: so a million who wait with limits
of their own are no more than a million leaves. Each node knows the most urgent of what can start below it, so that
neither a slot that is given back nor one that is taken looks at more than one way through the tree. Where several
children could go, the most urgent goes, and among equals the one whose last turn is longest ago: a tenant with a
thousand lines is one tenant.
"""

import heapq
from collections.abc import Iterable
from itertools import count
from typing import TypeAlias

from perdure.engine.flow.budgets import Budget, Way
from perdure.engine.flow.lanes import Lane
from perdure.engine.flow.queue import BEGUN, FRESH, NOTHING, Offers, Queue


class Line(Queue):
    """The queue of one lane at its place in the tree; `own` are the budgets that no other line passes here."""

    __slots__ = ("lane", "offers", "own", "parent", "turn")

    def __init__(self, lane: Lane, own: Way, parent: "Node", turn: int) -> None:
        super().__init__()
        self.lane = lane
        self.own = own
        self.parent = parent
        self.turn = turn
        self.offers = NOTHING

    @property
    def way(self) -> Way:
        return self.parent.way + self.own

    def offering(self) -> Offers:
        """How urgent the first invocations are that its own budgets would let start now."""
        open = True
        for budget in self.own:
            if budget.full:
                return NOTHING
            open = open and budget.open
        offers = self.first()
        return offers if open else (offers[BEGUN], None)

    def below(self, budget: Budget) -> Offers:
        """The same, were a slot free in this budget, one of its own; the budgets above it are not looked at."""
        offers = self.first()
        for each in reversed(self.own):
            if not each.open:
                offers = offers[BEGUN], None
            if each is budget:
                break
            if each.full:
                return NOTHING
        return offers


class Node:
    """A budget at its place in the tree: below a handler's, each scope's budget has a node of its own."""

    __slots__ = ("budget", "children", "offers", "parent", "turn", "turns", "way")

    def __init__(self, budget: Budget, parent: "Node | None", turn: int = 0) -> None:
        self.budget = budget
        self.way: Way = (budget,) if parent is None else (*parent.way, budget)
        self.parent = parent
        self.children = 0
        self.turn = turn
        self.offers = NOTHING
        self.turns = (Turns(BEGUN), Turns(FRESH))

    def offering(self) -> Offers:
        """How urgent the first invocations below are that its budget would let start now."""
        return NOTHING if self.budget.full else self.below(self.budget)

    def below(self, budget: Budget) -> Offers:
        """The same, were a slot free in its budget."""
        begun = self.turns[BEGUN].first()
        fresh = self.turns[FRESH].first() if budget.open else None
        return begun[0] if begun is not None else None, fresh[0] if fresh is not None else None


Branch: TypeAlias = Node | Line


class Turns:
    """The children of a node that offer something of one kind, in order. Entries that no longer hold are left in the
    heap until they come up, or until there are more of them than of others."""

    __slots__ = ("_heap", "_kind", "_tidy_at")

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._heap: list[tuple[int, int, Branch]] = []
        self._tidy_at = 16

    def put(self, child: Branch) -> None:
        """The child's turn or offer has changed."""
        urgency = child.offers[self._kind]
        if urgency is None:
            return
        heapq.heappush(self._heap, (urgency, child.turn, child))
        if len(self._heap) > self._tidy_at:
            self._heap = list({entry for entry in self._heap if self._holds(entry)})
            heapq.heapify(self._heap)
            self._tidy_at = 2 * len(self._heap) + 16

    def first(self) -> tuple[int, int, Branch] | None:
        heap = self._heap
        while heap:
            if self._holds(heap[0]):
                return heap[0]
            heapq.heappop(heap)
        return None

    def _holds(self, entry: tuple[int, int, Branch]) -> bool:
        urgency, turn, child = entry
        return child.turn == turn and child.offers[self._kind] == urgency


class Places:
    """The branches of the tree at which each budget is: mostly one; a scope's is below each handler's in it."""

    def __init__(self) -> None:
        self._places: dict[Budget, Branch | list[Branch]] = {}

    def of(self, budget: Budget) -> Iterable[Branch]:
        found = self._places.get(budget, ())
        return found if isinstance(found, (list, tuple)) else (found,)

    def below(self, node: Node, budget: Budget) -> Branch | None:
        """The child of a node to which this budget leads."""
        depth = len(node.way)
        return next((each for each in self.of(budget) if each.parent is node and each.way[depth] is budget), None)

    def add(self, budget: Budget, branch: Branch) -> None:
        found = self._places.setdefault(budget, branch)
        if isinstance(found, list):
            found.append(branch)
        elif found is not branch:
            self._places[budget] = [found, branch]

    def remove(self, budget: Budget, branch: Branch) -> None:
        found = self._places[budget]
        if isinstance(found, list):
            found.remove(branch)
        if not isinstance(found, list) or not found:
            del self._places[budget]


class Tree:
    """All invocations that wait. `wanted` gathers the budgets that are full, hold attempts that only wait, and keep
    others from starting: whoever asks the former to suspend takes these budgets out."""

    def __init__(self, engine: Budget) -> None:
        self.wanted: dict[Budget, None] = {}
        self._root = Node(engine, None)
        self._places = Places()
        self._places.add(engine, self._root)
        self._lines: dict[Lane, Line] = {}
        self._turns = count(0, 2)  # the odd ones are for nodes that take a line's place

    def line(self, lane: Lane) -> Line | None:
        return self._lines.get(lane)

    def lines(self) -> Iterable[Line]:
        """All lines in which somebody waits, the one whose turn is nearest first."""
        return sorted(self._lines.values(), key=lambda line: line.turn)

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def grow(self, lane: Lane, way: Way) -> Line:
        """A line for a lane that has none; its turn comes after all that wait now."""
        node = self._root
        for budget in way[1:]:
            branch = self._places.below(node, budget)
            if branch is None:
                break
            node = self._fork(branch) if isinstance(branch, Line) else branch
        line = Line(lane.shared(), way[len(node.way) :], node, next(self._turns))
        for budget in line.own:
            self._places.add(budget, line)
        node.children += 1
        self._lines[line.lane] = line
        return line

    def best(self) -> tuple[Line, bool] | None:
        """The line whose first invocation may start now, and whether that has begun; None if none may."""
        node = self._root
        if node.budget.full:
            return None
        fresh_too = True
        while True:
            fresh_too = fresh_too and node.budget.open
            begun = node.turns[BEGUN].first()
            fresh = node.turns[FRESH].first() if fresh_too else None
            chosen = fresh if begun is None or (fresh is not None and fresh[:2] < begun[:2]) else begun
            if chosen is None:
                return None
            child = chosen[2]
            if isinstance(child, Line):
                begun_urgency, fresh_urgency = child.offers
                if begun_urgency is None:
                    return child, False
                return child, not fresh_too or fresh_urgency is None or begun_urgency <= fresh_urgency
            node = child

    def served(self, line: Line) -> None:
        """The line had its turn, and so had all on its way."""
        child: Branch = line
        while (parent := child.parent) is not None:
            child.turn = next(self._turns)
            self._offer(child, parent)
            child = parent
        if not line:
            self._cut(line)

    def changed(self, line: Line) -> None:
        """Somebody came to the line, or left it."""
        self._refresh(line)
        if not line:
            self._cut(line)

    def budget_changed(self, budget: Budget) -> None:
        """The budget lets more through than before, or less."""
        for branch in self._places.of(budget):
            self._refresh(branch)
            for own in branch.own if isinstance(branch, Line) else (budget,):
                self._want(own)

    def wants(self, budget: Budget) -> bool:
        """Whether an invocation could start were a slot free in this budget; the budgets above it are not looked at."""
        return any(branch.below(budget) != NOTHING for branch in self._places.of(budget))

    def _want(self, budget: Budget) -> None:
        if budget.full and budget.idle:
            self.wanted[budget] = None

    def _refresh(self, child: Branch) -> None:
        """What a child offers may have changed: tell the nodes above it, as far up as that changes what they offer."""
        while (parent := child.parent) is not None:
            if child.offering() == child.offers:
                return
            self._offer(child, parent)
            self._want(parent.budget)
            child = parent

    def _offer(self, child: Branch, parent: Node) -> None:
        child.offers = child.offering()
        parent.turns[BEGUN].put(child)
        parent.turns[FRESH].put(child)

    def _fork(self, line: Line) -> Node:
        """A second line comes to a budget that was one line's own: a node takes its place, right after its turn."""
        parent, (budget, *own) = line.parent, line.own
        node = Node(budget, parent, line.turn + 1)
        self._places.remove(budget, line)
        self._places.add(budget, node)
        node.children = 1
        line.parent, line.own, line.turn = node, tuple(own), next(self._turns)
        self._offer(line, node)
        self._offer(node, parent)
        return node

    def _cut(self, line: Line) -> None:
        """Nobody waits in the line any more: it goes, with what was there for it alone."""
        del self._lines[line.lane]
        for budget in line.own:
            self._places.remove(budget, line)
        node = line.parent
        node.children -= 1
        while (parent := node.parent) is not None and not node.children:
            self._places.remove(node.budget, node)
            node = parent
            node.children -= 1
