"""The examples that are written by hand, over `perdure.llm`."""

from tests.ext.patterns.suite import Examples


class TestExamples(Examples):
    VERSION = "plain"
