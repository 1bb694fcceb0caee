"""The page's tab "OpenAI Agents"."""

from tests.docs.terminal import Terminal
from tests.ext.seeds.suite import Seeds
from tests.ext.seeds.tabs import Tab


class TestSeeds(Seeds):
    TAB = "openai"

    def call(self, tab: Tab, terminal: Terminal) -> None:
        """The page has a session in the path, where a service has none: the answer says which path is right."""
        assert "/MultiAgentClaimApproval/session123/run" in tab.curl
        terminal.run(tab.curl, "...MultiAgentClaimApproval/run...")
        terminal.run(tab.curl.replace("/session123", ""), "...approved...")
