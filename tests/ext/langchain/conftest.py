"""What the tests with LangChain share: one event loop, a chat model that asks the scripted one, and no tracing."""

from pathlib import Path

import pytest
from langchain_openai import ChatOpenAI
from pytest_asyncio import is_async_test

from perdure.testing.model import ScriptedModel


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All run in one loop, as handlers of a process do: langchain-openai keeps its connections for the process."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@pytest.fixture
def chat(model: ScriptedModel) -> ChatOpenAI:
    """A chat model as people have it."""
    return ChatOpenAI(model="gpt-4o-mini", base_url=model.base_url, api_key="none")
