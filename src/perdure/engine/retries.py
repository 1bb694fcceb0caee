"""When a failed attempt is made again: policy and failures so far give a delay, or None for never."""

from perdure.engine.config import RetryPolicy


def next_delay_ms(policy: RetryPolicy, failures: int) -> int | None:
    """The delay before the next attempt, after `failures` (1 or more) in a row; None when the policy gives up."""
    if policy.max_attempts is not None and failures >= policy.max_attempts:
        return None
    # The exponent is bounded so that a factor of 2 cannot overflow a float after a thousand failures.
    delay = policy.initial_interval_ms * policy.factor ** min(failures - 1, 64)
    return int(min(delay, policy.max_interval_ms))
