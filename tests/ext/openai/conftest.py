"""What the tests of the integration share."""

import agents
import pytest


@pytest.fixture(scope="session", autouse=True)
def _no_traces() -> None:
    """Nothing is sent to OpenAI, where traces go by default."""
    agents.set_tracing_disabled(True)
