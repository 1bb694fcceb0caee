"""Who called whom, and waits for it: the way down from an invocation to those that it began."""

from collections import deque
from collections.abc import Callable

from perdure.engine.invocation import Invocation, Status
from perdure.engine.keys import Key
from perdure.engine.ledger import Ledger

VISITED_MAX = 10_000


def children(ledger: Ledger, invocation: Invocation) -> list[Invocation]:
    """The invocations that this one called or sent, and that have not ended."""
    numbers = dict.fromkeys(ledger.reader.called_by(invocation.id))
    for batch in (ledger.committing, ledger.batch):
        numbers |= dict.fromkeys(batch.called.get(invocation.id, ()) if batch is not None else ())
    found = [child for number in numbers if (child := ledger.find_number(number)) is not None]
    return [child for child in found if child.status is not Status.COMPLETED]


def awaited_children(ledger: Ledger, invocation: Invocation) -> list[Invocation]:
    """Those of them whose outcome it is to get."""
    number = invocation.number
    return [child for child in children(ledger, invocation) if any(waiter.number == number for waiter in child.waiters)]


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

    None where they would not. Calls count as waits, whether awaited by now or not; sends do not.
    """
    holder = ledger.holder(key)
    if holder is None:
        return None
    came_from: dict[int, Invocation | None] = {holder.number: None}
    ahead = [holder]
    while ahead and len(came_from) < VISITED_MAX:
        invocation = ahead.pop()
        if invocation.number == caller.number:
            return _path(came_from, invocation)
        for blocker in _blockers(ledger, invocation):
            if blocker.number not in came_from:
                came_from[blocker.number] = invocation
                ahead.append(blocker)
    return None


def _blockers(ledger: Ledger, invocation: Invocation) -> list[Invocation]:
    """What an invocation cannot end without: who holds its key, else the calls that it awaits."""
    if invocation.status is Status.PENDING:
        holder = ledger.holder(invocation.object_key)
        return [holder] if holder is not None else []
    return awaited_children(ledger, invocation)


def _path(came_from: dict[int, Invocation | None], end: Invocation) -> list[Invocation]:
    path = [end]
    while (before := came_from[path[-1].number]) is not None:
        path.append(before)
    path.reverse()
    return path
