"""Whose turn it is: all lines of waiting invocations, in a tree of the budgets that they pass.

The root is the engine's budget; below each budget are those that are shared by fewer, and the lines themselves, which
are the leaves. Each node knows the most urgent of what can start below it, so that neither a slot that is given back
nor one that is taken looks at more than one way through the tree. Where several children could go, the most urgent
goes, and among equals the one whose last turn is longest ago: a tenant with a thousand lines is one tenant.
"""

import heapq
from collections.abc import Iterable
from itertools import count
from typing import TypeAlias

from perdure.engine.flow.budgets import Budget, Way
from perdure.engine.flow.lanes import Lane
from perdure.engine.flow.numbers import Numbers

BEGUN, FRESH = 0, 1  # what has begun goes before what has not, and takes no permits of a rate
_PRIORITY_MAX = 100
_NUMBER_BITS = 52

Offers: TypeAlias = tuple[int | None, int | None]
"""The least urgency number of what could start, of the begun and of the fresh ones."""
NOTHING: Offers = (None, None)


class Line:
    """Those of one lane that wait: the more urgent first, then the older. A leaf of the tree."""

    __slots__ = ("lane", "offers", "parent", "turn", "waiting", "way")

    def __init__(self, lane: Lane, way: Way, waiting: tuple[Numbers, Numbers] | None = None) -> None:
        self.lane = lane
        self.way = way
        self.waiting = waiting or (Numbers(), Numbers())
        self.parent: Node | None = None
        self.turn = 0
        self.offers = NOTHING

    def __bool__(self) -> bool:
        return bool(self.waiting[BEGUN] or self.waiting[FRESH])

    def offering(self) -> Offers:
        begun, fresh = self.waiting
        return (
            begun.first() >> _NUMBER_BITS if begun else None,
            fresh.first() >> _NUMBER_BITS if fresh else None,
        )

    def add(self, number: int, priority: int, *, begun: bool) -> None:
        self.waiting[BEGUN if begun else FRESH].add(_standing(number, priority))

    def remove(self, number: int, priority: int, *, begun: bool) -> bool:
        return self.waiting[BEGUN if begun else FRESH].remove(_standing(number, priority))

    def pop(self, *, begun: bool) -> int:
        return self.waiting[BEGUN if begun else FRESH].pop_first() & ((1 << _NUMBER_BITS) - 1)

    def holds(self, number: int, priority: int, *, begun: bool) -> bool:
        return _standing(number, priority) in self.waiting[BEGUN if begun else FRESH]

    def ahead_of(self, number: int, priority: int, *, begun: bool) -> int:
        """How many of this line go before one of it."""
        standing = _standing(number, priority)
        urgency = standing >> _NUMBER_BITS
        same, other = (BEGUN, FRESH) if begun else (FRESH, BEGUN)
        return self.waiting[same].before(standing) + self.waiting[other].before(
            (urgency if begun else urgency + 1) << _NUMBER_BITS
        )


def _standing(number: int, priority: int) -> int:
    """What orders a line: urgency in the high bits, the older first in the low ones."""
    return (_PRIORITY_MAX - priority) << _NUMBER_BITS | number


class Turns:
    """The children of a node that offer something of one kind, in order. Entries that no longer hold are left in the
    heap until they come up, or until there are more of them than of others."""

    __slots__ = ("_heap", "_kind", "_tidy_at")

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._heap: list[tuple[int, int, Node | Line]] = []
        self._tidy_at = 16

    def put(self, child: "Node | Line") -> None:
        """The child's turn or offer has changed."""
        urgency = child.offers[self._kind]
        if urgency is None:
            return
        heapq.heappush(self._heap, (urgency, child.turn, child))
        if len(self._heap) > self._tidy_at:
            self._heap = list({entry for entry in self._heap if self._holds(entry)})
            heapq.heapify(self._heap)
            self._tidy_at = 2 * len(self._heap) + 16

    def first(self) -> "tuple[int, int, Node | Line] | None":
        heap = self._heap
        while heap:
            if self._holds(heap[0]):
                return heap[0]
            heapq.heappop(heap)
        return None

    def _holds(self, entry: "tuple[int, int, Node | Line]") -> bool:
        urgency, turn, child = entry
        return child.turn == turn and child.offers[self._kind] == urgency


class Node:
    """A budget at its place in the tree: below a handler's, each scope's budget has a node of its own."""

    __slots__ = ("budget", "children", "lines", "offers", "parent", "turn", "turns")

    def __init__(self, budget: Budget, parent: "Node | None") -> None:
        self.budget = budget
        self.parent = parent
        self.children: dict[Budget, Node] = {}
        self.lines = 0
        self.turn = 0
        self.offers = NOTHING
        self.turns = (Turns(BEGUN), Turns(FRESH))

    def offering(self) -> Offers:
        """What the budget lets through of what there is below."""
        return NOTHING if self.budget.full else self.below()

    def below(self) -> Offers:
        """What would come if there were a slot."""
        begun = self.turns[BEGUN].first()
        fresh = self.turns[FRESH].first() if self.budget.open else None
        return begun[0] if begun is not None else None, fresh[0] if fresh is not None else None


class Tree:
    """All that wait. `wanted` gathers full budgets for which there is more to start: somebody may take them out."""

    def __init__(self, engine: Budget) -> None:
        self.wanted: dict[Budget, None] = {}
        self._root = Node(engine, None)
        self._nodes: dict[Budget, list[Node]] = {engine: [self._root]}
        self._lines: dict[Lane, Line] = {}
        self._turns = count(1)

    def line(self, lane: Lane) -> Line | None:
        return self._lines.get(lane)

    def lines(self) -> Iterable[Line]:
        """All lines in which somebody waits, the one whose turn is nearest first."""
        return sorted(self._lines.values(), key=lambda line: line.turn)

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def grow(self, line: Line) -> None:
        """Take in a line; its turn comes after all that wait now."""
        node = self._root
        for budget in line.way[1:]:
            child = node.children.get(budget)
            if child is None:
                child = node.children[budget] = Node(budget, node)
                child.turn = next(self._turns)
                self._nodes.setdefault(budget, []).append(child)
            node = child
        node.lines += 1
        line.parent = node
        line.turn = next(self._turns)
        self._lines[line.lane] = line

    def best(self) -> tuple[Line, bool] | None:
        """The line that starts one now, and whether it is one that has begun; None if nothing can."""
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
        child: Node | Line = line
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
        for node in self._nodes.get(budget, ()):
            self._refresh(node)
        if budget.full and budget.idle:
            self.wanted[budget] = None

    def wants(self, budget: Budget) -> bool:
        """Whether something would start if this budget had a slot more, as far as it and what is below it say."""
        return any(node.below() != NOTHING for node in self._nodes.get(budget, ()))

    def _refresh(self, child: Node | Line) -> None:
        """Tell what a child offers now, as far up as that changes anything."""
        while (parent := child.parent) is not None:
            if child.offering() == child.offers:
                return
            self._offer(child, parent)
            if parent.budget.full and parent.budget.idle:
                self.wanted[parent.budget] = None
            child = parent

    def _offer(self, child: Node | Line, parent: Node) -> None:
        child.offers = child.offering()
        parent.turns[BEGUN].put(child)
        parent.turns[FRESH].put(child)

    def _cut(self, line: Line) -> None:
        """Nobody waits in the line any more: it goes, with what was there for it alone."""
        del self._lines[line.lane]
        node = line.parent
        assert node is not None, "a line that waits for nothing"
        node.lines -= 1
        while (parent := node.parent) is not None and not (node.lines or node.children):
            del parent.children[node.budget]
            nodes = self._nodes[node.budget]
            nodes.remove(node)
            if not nodes:
                del self._nodes[node.budget]
            node = parent
