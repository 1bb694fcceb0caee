"""The page's tab "Restate Py"."""

from typing import Any

from perdure.testing.model import Script
from tests.ext.patterns import local_agents
from tests.ext.seeds.suite import Seeds


class TestSeeds(Seeds):
    TAB = "plain"
    OUTCOME = local_agents.ANSWER

    def script(self, input: Any) -> Script:
        return local_agents.script
