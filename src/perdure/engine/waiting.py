"""What a suspended invocation waits for: a tree of futures, and when it has been answered.

Up to version 6 a suspension is a flat set of ids and any of them wakes. From version 7 it is a tree, and the
invocation sleeps until the tree can resolve. Source of facts: service protocol, sections "Future", "Waking up".
"""

from collections.abc import Callable, Mapping, MutableSequence
from typing import TypeVar

from perdure.engine.invocation import signal_key
from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb
from perdure.protocol.versions import FUTURE_TREES

DEPTH_MAX = 64  # protobuf itself stops at 100; nobody nests combinators so deep by hand


def awaited_future(suspension: pb.SuspensionMessage, version: int) -> pb.Future:
    """The tree that a suspension names, whichever layout its version has.

    Raises:
        RemoteProtocolError: it waits for nothing, so it could never wake; or the tree is too deep.
    """
    if version >= FUTURE_TREES:
        future = suspension.awaiting_on
    else:
        future = pb.Future(
            waiting_completions=suspension.waiting_completions,
            waiting_signals=suspension.waiting_signals,
            waiting_named_signals=suspension.waiting_named_signals,
            combinator_type=pb.FIRST_COMPLETED,
        )
    _check(future, 0)
    return future


def _check(future: pb.Future, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise RemoteProtocolError(f"a suspension's future is nested more than {DEPTH_MAX} deep")
    children = [future.waiting_completions, future.waiting_signals, future.waiting_named_signals, future.nested_futures]
    if not any(children):
        raise RemoteProtocolError("a suspension waits for nothing: it could never wake")
    for nested in future.nested_futures:
        _check(nested, depth + 1)


def settle(future: pb.Future, known: Mapping[int | str, bool]) -> bool | None:
    """Cut off what is known, the outcome (success or not) of each id; the future's own outcome, None while open.

    What is left of an open future waits for unknown ids alone, so that it can be stored in place of the whole.
    """
    outcomes = _take(future.waiting_completions, known, _identity)
    outcomes += _take(future.waiting_signals, known, signal_key)
    outcomes += _take(future.waiting_named_signals, known, signal_key)
    settled = [settle(nested, known) for nested in future.nested_futures]
    outcomes += [outcome for outcome in settled if outcome is not None]
    for position in range(len(settled) - 1, -1, -1):
        if settled[position] is not None:
            del future.nested_futures[position]
    still_open = bool(
        future.waiting_completions or future.waiting_signals or future.waiting_named_signals or future.nested_futures
    )
    match future.combinator_type:
        case pb.ALL_COMPLETED:
            return None if still_open else True
        case pb.FIRST_SUCCEEDED_OR_ALL_FAILED:
            return True if True in outcomes else (None if still_open else False)
        case pb.ALL_SUCCEEDED_OR_FIRST_FAILED:
            return False if False in outcomes else (None if still_open else True)
        case _:  # FIRST_COMPLETED, and the combinations that an SDK keeps to itself
            return outcomes[0] if outcomes else None


def waits_for_signal(future: pb.Future, signal: int) -> bool:
    return signal in future.waiting_signals or any(waits_for_signal(each, signal) for each in future.nested_futures)


def _identity(id: int) -> int:
    return id


Id = TypeVar("Id", int, str)


def _take(ids: MutableSequence[Id], known: Mapping[int | str, bool], key_of: Callable[[Id], int | str]) -> list[bool]:
    """The outcomes of the ids that are known; these are removed."""
    outcomes = [known[key_of(id)] for id in ids if key_of(id) in known]
    if outcomes:
        ids[:] = [id for id in ids if key_of(id) not in known]
    return outcomes
