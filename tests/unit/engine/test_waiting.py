"""When a suspended invocation wakes: what is stored of its future means the same as the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.engine.waiting import DEPTH_MAX, awaited_future, settle
from perdure.errors import RemoteProtocolError
from perdure.protocol import wire_pb2 as pb

COMBINATORS = list(pb.CombinatorType.values())
IDS = st.integers(1, 6)
KNOWN = st.dictionaries(IDS, st.booleans())


def futures(depth: int = 3) -> st.SearchStrategy[pb.Future]:
    children = st.lists(futures(depth - 1), max_size=2) if depth else st.just([])
    built = st.builds(
        lambda ids, children, combinator: pb.Future(
            waiting_completions=ids, nested_futures=children, combinator_type=combinator
        ),
        st.lists(IDS, max_size=3),
        children,
        st.sampled_from(COMBINATORS),
    )
    return built.filter(lambda future: bool(future.waiting_completions or future.nested_futures))


def outcome(future: pb.Future, known: dict[int, bool]) -> bool | None:
    """The definition, straight from the protocol's table; settled futures are looked at as a whole."""
    children = [known.get(id) for id in future.waiting_completions]
    children += [outcome(nested, known) for nested in future.nested_futures]
    match future.combinator_type:
        case pb.ALL_COMPLETED:
            return None if None in children else True
        case pb.FIRST_SUCCEEDED_OR_ALL_FAILED:
            return True if True in children else None if None in children else False
        case pb.ALL_SUCCEEDED_OR_FIRST_FAILED:
            return False if False in children else None if None in children else True
        case _:
            return next((child for child in children if child is not None), None)


def copied(future: pb.Future) -> pb.Future:
    copy = pb.Future()
    copy.CopyFrom(future)
    return copy


@given(futures(), KNOWN)
def test_a_future_settles_when_its_definition_says_so(future: pb.Future, known: dict[int, bool]) -> None:
    assert (settle(copied(future), dict(known)) is None) == (outcome(future, known) is None)


@given(futures(), KNOWN, KNOWN)
def test_what_is_left_of_it_settles_when_the_whole_would(
    future: pb.Future, first: dict[int, bool], later: dict[int, bool]
) -> None:
    left = copied(future)
    if settle(left, dict(first)) is not None:
        return
    together = later | first
    new = {id: ok for id, ok in together.items() if id not in first}
    assert (settle(left, dict(new)) is None) == (outcome(future, together) is None)


def test_up_to_version_6_any_of_the_ids_wakes() -> None:
    suspension = pb.SuspensionMessage(waiting_completions=[1, 2], waiting_signals=[1], waiting_named_signals=["go"])
    for known in ({1: False}, {2: True}, {"#1": True}, {"=go": True}):
        assert settle(awaited_future(suspension, 6), known) is not None
    assert settle(awaited_future(suspension, 6), {3: True}) is None


def test_a_suspension_that_could_never_wake_is_refused() -> None:
    empty = pb.SuspensionMessage(awaiting_on=pb.Future(waiting_completions=[1], nested_futures=[pb.Future()]))
    for version, suspension in ((6, pb.SuspensionMessage()), (7, pb.SuspensionMessage()), (7, empty)):
        with pytest.raises(RemoteProtocolError, match="never wake"):
            awaited_future(suspension, version)


def test_a_tree_without_bottom_is_refused() -> None:
    future = pb.Future(waiting_completions=[1])
    for _ in range(DEPTH_MAX + 1):
        future = pb.Future(nested_futures=[future])
    with pytest.raises(RemoteProtocolError, match="deep"):
        awaited_future(pb.SuspensionMessage(awaiting_on=future), 7)
