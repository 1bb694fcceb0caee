"""Who called whom, and waits for it: the way down from an invocation to those that it began, and circles of calls."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeAlias

from perdure.engine.invocation import Invocation, Status
from perdure.engine.keys import Key
from perdure.engine.ledger import Ledger
from perdure.protocol.messages import MessageType

LOOK_UPS_MAX = 200
"""How many invocations a search for a circle looks at in one direction: at some 20 us each, 4 ms of the loop."""


def awaited_children(ledger: Ledger, invocation: Invocation) -> list[Invocation]:
    """The invocations that this one called, that have not ended, and whose outcome it is to get. Sends are none."""
    found = (_open(ledger, number) for number in _called_by(ledger, invocation))
    return [child for child in found if child is not None and _waits(invocation, child)]


def go_down(ledger: Ledger, invocation: Invocation, act: Callable[[Invocation], list[Invocation]]) -> None:
    """Do something to an invocation, then to those that `act` returned, and so on down.

    Each is found anew when its turn comes, as what was done before may have changed it: freed its key, say. A loop, as
    calls go deeper than Python's stack.
    """
    following = deque(each.number for each in act(invocation))
    while following:
        child = ledger.find_number(following.popleft())
        if child is not None and child.status is not Status.COMPLETED:
            following += [each.number for each in act(child)]


def circle(ledger: Ledger, caller: Invocation, key: Key) -> list[Invocation] | None:
    """The invocations that would wait for each other if `caller` waited for this key, from its holder to `caller`.

    None where they would not. Calls count as waits, whether awaited by now or not; sends do not. It looks up from the
    caller, since most are waited for by one; where that is too wide, down from the holder. Where both are, it gives up.
    """
    holder = _holder(ledger, key)
    if holder is None:
        return None
    try:
        up = _way(ledger, caller, holder, _dependents)
    except _TooWide:
        with suppress(_TooWide):
            return _way(ledger, holder, caller, _blockers)
        return None
    return up[::-1] if up is not None else None


class _TooWide(Exception):
    """There is more to look at than one call may cost."""


_Onward: TypeAlias = Callable[[Ledger, Invocation], Iterator[Invocation | None]]
"""Where to go from an invocation; None for a look-up that led nowhere, so that it counts."""


def _way(ledger: Ledger, start: Invocation, goal: Invocation, onward: _Onward) -> list[Invocation] | None:
    """The invocations on the way from `start` to `goal`; None where there is no way. Raises `_TooWide`."""
    if start.number == goal.number:
        return [start]
    path, ways = [start], [onward(ledger, start)]
    seen = {start.number}
    looked_up = 0
    while ways:
        for following in ways[-1]:
            looked_up += 1
            if looked_up > LOOK_UPS_MAX:
                raise _TooWide
            if following is None or following.number in seen:
                continue
            seen.add(following.number)
            path.append(following)
            if following.number == goal.number:
                return path
            ways.append(onward(ledger, following))
            break
        else:
            path.pop()
            ways.pop()
    return None


def _dependents(ledger: Ledger, invocation: Invocation) -> Iterator[Invocation | None]:
    """Who cannot end before this one: those that called it, then those in line for the key that it has."""
    for waiter in invocation.waiters:
        if waiter.type == MessageType.CALL_COMPLETION:
            yield _open(ledger, waiter.number)
    for number in _in_line_behind(ledger, invocation):
        yield _open(ledger, number)


def _blockers(ledger: Ledger, invocation: Invocation) -> Iterator[Invocation | None]:
    """What an invocation cannot end without: who holds its key, else the calls that it awaits."""
    if invocation.status is Status.PENDING:
        yield _holder(ledger, invocation.object_key)
        return
    for number in _called_by(ledger, invocation, LOOK_UPS_MAX + 1):
        child = _open(ledger, number)
        yield child if child is not None and _waits(invocation, child) else None


def _open(ledger: Ledger, number: int) -> Invocation | None:
    invocation = ledger.find_number(number)
    return invocation if invocation is not None and invocation.status is not Status.COMPLETED else None


def _waits(caller: Invocation, callee: Invocation) -> bool:
    return any(waiter.number == caller.number for waiter in callee.waiters)


def _called_by(ledger: Ledger, invocation: Invocation, limit: int = -1) -> Iterable[int]:
    numbers = dict.fromkeys(ledger.reader.called_by(invocation.id, limit))
    for batch in (ledger.committing, ledger.batch):
        numbers |= dict.fromkeys(batch.called.get(invocation.id, ()) if batch is not None else ())
    return numbers


def _holder(ledger: Ledger, key: Key) -> Invocation | None:
    """The invocation that has a key now."""
    ledger.batch.keys.add(key)  # so that it is dropped from memory again
    number = ledger.keys.holder(key)
    return ledger.find_number(number) if number is not None and number > 0 else None


def _in_line_behind(ledger: Ledger, invocation: Invocation) -> Iterator[int]:
    """The invocations that wait for the key that this one has; none where it has none."""
    if invocation.exclusive:
        key = invocation.object_key
        ledger.batch.keys.add(key)  # as in `_holder`
        if ledger.keys.holder(key) == invocation.number:
            yield from (number for number in ledger.keys.waiting(key) if number > 0)
