"""The lifecycle's table, every pair of it; and when a failing attempt is made again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.engine.config import RetryPolicy
from perdure.engine.events import Target
from perdure.engine.invocation import LIFECYCLE, STORED_AS, Invocation, Status, Step
from perdure.engine.retries import next_delay_ms
from perdure.protocol.ids import InvocationId


def invocation(status: Status) -> Invocation:
    return Invocation(1, InvocationId("inv_1"), Target("S", "h"), "SERVICE", None, status, 0, 0)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("step", list(Step))
def test_each_step_leads_where_the_table_says_or_is_refused(status: Status, step: Step) -> None:
    subject = invocation(status)
    if (status, step) in LIFECYCLE:
        subject.advance(step, 5)
        assert (subject.status, subject.modified_at_ms) == (LIFECYCLE[status, step], 5)
    else:
        with pytest.raises(AssertionError, match=f"{status}.*{step}"):
            subject.advance(step, 5)
        assert subject.status is status


def test_everything_ends_and_nothing_follows_the_end() -> None:
    for status in Status:
        reached = {status}
        for _ in Status:
            reached |= {after for (before, _), after in LIFECYCLE.items() if before in reached}
        assert Status.COMPLETED in reached
    assert not [step for (before, step) in LIFECYCLE if before is Status.COMPLETED]


def test_what_is_only_in_memory_is_ready_on_disk() -> None:
    assert STORED_AS == {Status.RUNNING: Status.READY, Status.BACKING_OFF: Status.READY}


@given(st.integers(1, 5_000), st.floats(1, 10), st.integers(0, 10_000), st.integers(0, 100_000))
def test_delays_grow_to_their_limit_and_stay(failures: int, factor: float, initial: int, limit: int) -> None:
    policy = RetryPolicy(initial_interval_ms=initial, factor=factor, max_interval_ms=limit, max_attempts=None)
    delay, following = next_delay_ms(policy, failures), next_delay_ms(policy, failures + 1)
    assert delay is not None
    assert following is not None
    assert 0 <= delay <= following <= limit


@pytest.mark.parametrize(("initial", "expected"), [(0, 0), (1, 60_000)])
def test_a_factor_that_leaves_all_bounds_gives_the_limit(initial: int, expected: int) -> None:
    policy = RetryPolicy(initial_interval_ms=initial, factor=1e200, max_attempts=None)
    assert next_delay_ms(policy, 5) == expected


def test_the_attempts_of_a_policy_include_the_first() -> None:
    policy = RetryPolicy(initial_interval_ms=100, max_attempts=3)
    assert [next_delay_ms(policy, failures) for failures in (1, 2, 3)] == [100, 200, None]
    assert next_delay_ms(RetryPolicy(max_attempts=1), 1) is None
