"""What the tests with LangChain share: a chat model that asks the scripted one, and no tracing."""

import pytest
from langchain_openai import ChatOpenAI

from perdure.testing.model import ScriptedModel


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "false")


@pytest.fixture
def chat(model: ScriptedModel) -> ChatOpenAI:
    """OpenAI's client with no retries of its own: what is tried again is the journal's business."""
    return ChatOpenAI(model="gpt-4o-mini", base_url=model.base_url, api_key="none", max_retries=0)
