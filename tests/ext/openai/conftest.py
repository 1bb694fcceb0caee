"""What the tests of the integration share."""

from collections.abc import Iterator

import agents
import pytest


@pytest.fixture(autouse=True)
def _no_traces() -> Iterator[None]:
    """Nothing is sent to OpenAI's traces."""
    agents.set_tracing_disabled(True)
    yield
    agents.set_tracing_disabled(False)
