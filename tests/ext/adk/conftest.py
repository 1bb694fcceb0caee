"""What the tests with Google ADK share."""

import pytest

ADKS_OWN_WARNINGS = (
    # `ScriptedModel.environment` sets it for older clients of Google's.
    "ignore:GOOGLE_GENAI_USE_VERTEXAI is deprecated:DeprecationWarning",
    # ADK keeps a client for each model and event loop, and closes none.
    "ignore:unclosed:ResourceWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    for warning in ADKS_OWN_WARNINGS:
        config.addinivalue_line("filterwarnings", warning)
