"""The page's tab "Google ADK": virtual objects, which its tools call by `service_call`, so with an empty key."""

from tests.ext.seeds.suite import Seeds


class TestSeeds(Seeds):
    TAB = "adk"
    KEY = "user123"
