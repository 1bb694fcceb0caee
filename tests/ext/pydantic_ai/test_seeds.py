"""The page's tab "Pydantic AI"."""

from tests.ext.seeds.suite import Seeds


class TestSeeds(Seeds):
    TAB = "pydantic_ai"
