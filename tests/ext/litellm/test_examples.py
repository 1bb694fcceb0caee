"""The examples with LiteLLM."""

from tests.ext.patterns.suite import Examples


class TestExamples(Examples):
    VERSION = "with_litellm"
