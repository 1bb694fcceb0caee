"""The examples with LangChain."""

from tests.ext.patterns.suite import Examples


class TestExamples(Examples):
    VERSION = "with_langchain"
