"""The examples that are written by hand, over `perdure.llm`."""

import pytest

from tests.ext.patterns.suite import Examples

pytestmark = pytest.mark.asyncio(loop_scope="session")


class TestExamples(Examples):
    VERSION = "plain"
