"""Every sample of this integration's page runs."""

import httpx2
import pytest
from agents.models import openai_provider

from tests.ext.pages import Samples


@pytest.fixture(autouse=True)
def _no_connection_outlives_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK keeps connections for all of the process, and a page has an event loop of its own."""
    client = httpx2.AsyncClient(limits=httpx2.Limits(max_keepalive_connections=0))
    monkeypatch.setattr(openai_provider, "_http_client", client)


class TestSamples(Samples):
    ENVIRONMENT = "openai"
