"""What the tests with Google ADK share."""

from pathlib import Path

import pytest

ADKS_OWN_WARNINGS = (
    # `ScriptedModel.environment` sets it for older clients of Google's.
    "ignore:GOOGLE_GENAI_USE_VERTEXAI is deprecated:DeprecationWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in ADKS_OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))
