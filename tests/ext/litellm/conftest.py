"""What the tests with LiteLLM share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "true")  # else it fetches prices when it is imported

LITELLMS_OWN_WARNINGS = (
    # Its types hold TypedDicts with read-only items, of which pydantic says that it cannot protect them.
    "ignore:Item 'summary' on TypedDict class 'ChatCompletionReasoningItem':UserWarning",
    # It makes its request in a thread before it awaits it: whoever is cancelled in between never does.
    "ignore:coroutine 'OpenAIChatCompletion.acompletion' was never awaited:RuntimeWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for warning in LITELLMS_OWN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))
