"""The examples with Pydantic AI."""

import pytest

from tests.ext.patterns.suite import Examples

pytestmark = pytest.mark.asyncio(loop_scope="session")


class TestExamples(Examples):
    VERSION = "with_pydantic_ai"
