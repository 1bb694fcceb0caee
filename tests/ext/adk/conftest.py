"""What the tests with Google ADK share."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from google.genai.client import AsyncClient

from perdure.testing.model import ScriptedModel

ADKS_OWN_WARNINGS = (
    # `ScriptedModel.environment` sets it for older clients of Google's.
    "ignore:GOOGLE_GENAI_USE_VERTEXAI is deprecated:DeprecationWarning",
)


@pytest.fixture
def model(model: ScriptedModel) -> ScriptedModel:
    """The model, with an empty log."""
    model.forget()
    return model


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def _clients_are_closed() -> AsyncIterator[None]:
    """ADK keeps a client for each model and event loop, and closes none."""
    yield
    for client in [each for each in gc.get_objects() if isinstance(each, AsyncClient)]:
        await client.aclose()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in ADKS_OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))
