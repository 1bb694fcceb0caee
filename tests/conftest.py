"""What tests of all kinds share: waiting for something without sleeping blindly."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import settings

# A shared machine's pauses are no bugs. `make test` names a seed: what fails there was not there before the change.
settings.register_profile("perdure", deadline=None, derandomize="PERDURE_TEST_SEED" in os.environ)
settings.load_profile("perdure")

# A shell has background jobs ignore Ctrl-C, and so would the programs that tests start, and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

POLL_S = 0.02


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    """Awaits until `condition()` holds; fails, saying what was waited for, when it does not in time."""

    async def wait(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                pytest.fail(f"not within {timeout_s} s: {what}")
            await asyncio.sleep(POLL_S)

    return wait
