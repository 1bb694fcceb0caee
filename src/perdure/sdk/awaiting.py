"""What an attempt waits for, in the form in which the engine is told: a tree of handles.

Source of facts: service protocol, messages Suspension and AwaitingOn.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from perdure.protocol import wire_pb2 as pb
from perdure.protocol.ids import CANCEL_SIGNAL

Handle: TypeAlias = int | str
"""What a notification is known by: its completion id, minus its signal index, or its signal name."""

CANCEL: Handle = -CANCEL_SIGNAL

Wait: TypeAlias = tuple["pb.CombinatorType | None", Iterable[Handle]]
"""What one piece of user code waits for: handles, and how they are combined (None: it is a single one)."""

Limited: TypeAlias = tuple[Handle, Handle]
"""Something that has a time limit, and the timer that is its limit."""


def any_of(waits: Iterable[Wait], limited: Callable[[Handle], Limited | None]) -> pb.Future:
    """All pieces of user code wait; the attempt can go on when the wait of any of them is over, or a cancel comes."""
    root = pb.Future(combinator_type=pb.FIRST_COMPLETED)
    for combinator, handles in waits:
        node = root
        if combinator is not None:
            node = root.nested_futures.add()
            node.combinator_type = combinator
        for handle in handles:
            pair = limited(handle)
            if pair is None:
                _add(node, handle)
            else:
                _add_limited(root, node, pair)
    _add(root, CANCEL)
    return root


def _add_limited(root: pb.Future, node: pb.Future, pair: Limited) -> None:
    """To an engine, a timer that is over is a success; here it is a failure."""
    handle, timer = pair
    if node.combinator_type == pb.ALL_SUCCEEDED_OR_FIRST_FAILED:
        _add(node, handle)
        _add(root, timer)
        return
    if node.combinator_type != pb.FIRST_COMPLETED:
        node = node.nested_futures.add()
        node.combinator_type = pb.FIRST_COMPLETED
    _add(node, handle)
    _add(node, timer)


def only(handle: Handle) -> pb.Future:
    """User code can go on only when this handle is ready: not even a cancel lets it."""
    root = pb.Future(combinator_type=pb.FIRST_COMPLETED)
    _add(root, handle)
    return root


def flatten(node: pb.Future, suspension: pb.SuspensionMessage) -> None:
    """The tree as versions before 7 have it: just its handles."""
    suspension.waiting_completions.extend(node.waiting_completions)
    suspension.waiting_signals.extend(node.waiting_signals)
    suspension.waiting_named_signals.extend(node.waiting_named_signals)
    for child in node.nested_futures:
        flatten(child, suspension)


def _add(node: pb.Future, handle: Handle) -> None:
    if isinstance(handle, str):
        node.waiting_named_signals.append(handle)
    elif handle < 0:
        node.waiting_signals.append(-handle)
    else:
        node.waiting_completions.append(handle)
