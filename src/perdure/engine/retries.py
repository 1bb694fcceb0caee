"""When a failed attempt is made again: policy and failures so far give a delay, or None for never."""

from perdure.engine.config import RetryPolicy


def next_delay_ms(policy: RetryPolicy, failures: int) -> int | None:
    """The delay before the next attempt, after `failures` (1 or more) in a row; None when the policy gives up."""
    if policy.max_attempts is not None and failures >= policy.max_attempts:
        return None
    try:
        delay = policy.initial_interval_ms * policy.factor ** (failures - 1)
    except OverflowError:  # beyond what a float holds, and so beyond any limit
        delay = policy.max_interval_ms if policy.initial_interval_ms else 0
    return int(min(delay, policy.max_interval_ms))
