"""What must hold for the code of every tab: all agents in one process, and each in its own."""

from pathlib import Path
from typing import Any

import pytest

from perdure.sdk.definition import tagged
from perdure.testing import Harness
from perdure.testing.model import Script, ScriptedModel
from tests.docs.matching import Ids
from tests.docs.terminal import Terminal
from tests.ext.patterns.claim_approval import deciding_on
from tests.ext.seeds.tabs import Tab

PORT = 9080


class Seeds:
    """A tab's tests; a subclass names it."""

    TAB: str
    KEY: str | None = None
    OUTCOME = "approved"
    """What the answer has in it."""

    @pytest.fixture
    def tab(self, model: ScriptedModel) -> Tab:
        tab = Tab(self.TAB)
        model.script = self.script(tab.input)
        return tab

    def script(self, input: Any) -> Script:
        """What the model says on the page's input."""
        return deciding_on(input)

    async def test_local_agents_survive_a_crash_anywhere(self, tab: Tab, model: ScriptedModel, tmp_path: Path) -> None:
        with tab.imported(tmp_path) as services:
            [definition] = services[0].handlers.values()
            run = tagged(definition.fn, definition)
            async with Harness(services) as h:
                assert self.OUTCOME in await h.call(run, tab.input, key=self.KEY)
                await h.crash_at_every_step(run, tab.input, key=self.KEY, everywhere=True, model=model)

    def test_remote_agents_answer_the_pages_call(self, tab: Tab, model: ScriptedModel, tmp_path: Path) -> None:
        tab.write(tmp_path)
        with Terminal(tmp_path, Ids(), model.environment) as terminal:
            terminal.run("perdure up", "")
            for port, module in enumerate(tab.agents, PORT):
                terminal.run(f"perdure serve {module}:services --port {port}", "")
                terminal.run(f"perdure deployments register http://localhost:{port} --force --yes", "")
            self.call(tab, terminal)

    def call(self, tab: Tab, terminal: Terminal) -> None:
        """The call, as the page has it."""
        terminal.run(tab.curl, f"...{self.OUTCOME.rstrip('.')}...")
