"""The examples with LangChain."""

import pytest

from tests.ext.patterns.suite import Examples

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),  # that of MCP starts its server some hundred times
]


class TestExamples(Examples):
    VERSION = "with_langchain"
