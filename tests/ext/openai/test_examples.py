"""The examples with OpenAI's Agents SDK."""

from tests.ext.patterns.suite import Examples


class TestExamples(Examples):
    VERSION = "with_openai_agents"
