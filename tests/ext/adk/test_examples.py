"""The examples with Google's Agent Development Kit."""

from tests.ext.patterns.suite import Examples


class TestExamples(Examples):
    VERSION = "with_adk"
