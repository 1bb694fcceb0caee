"""The examples with Pydantic AI."""

from tests.ext.patterns.suite import Examples


class TestExamples(Examples):
    VERSION = "with_pydantic_ai"
