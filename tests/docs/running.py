"""Runs a page as its reader would: its Python, its commands, with a model that says what the page has it say.

What the model says is in comments of the page, which its readers do not see; each holds for the blocks below it:

    <!-- model calls get_weather {"city": "Oslo"} find_hotels {} -->   these tools, all in one answer
    <!-- model says Sunny. -->                                        this; without it, what the tools returned

With no comment above, it calls the first tool that it is offered; with no tools either, it says that it is sorry.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perdure.testing.model import ChatRequest, Reply, ScriptedModel, first_tool
from tests.docs.matching import Ids
from tests.docs.pages import ROOT, blocks
from tests.docs.python import Module
from tests.docs.terminal import Terminal, commands

SORRY = "Sorry about the double charge: one of the two is on its way back to you."

_COMMENT = re.compile(r"<!-- model (calls|says) (.*?) -->", re.DOTALL)
_NAME = re.compile(r"\s*(\w+)\s*")


class Script:
    """What the model says at a line of the page. `line` is where its reader is."""

    def __init__(self, page: Path) -> None:
        self.line = 0
        text = page.read_text()
        self._told = [(text.count("\n", 0, each.start()), each[1], each[2]) for each in _COMMENT.finditer(text)]

    def __call__(self, request: ChatRequest) -> Reply:
        calls, says = self._at("calls"), self._at("says")
        if request.tools and not request.results:
            called = [(name, arguments) for name, arguments in _calls(calls or "") if name in request.offered]
            if called:
                return Reply.calling(*called)
            if calls is None and says is None:
                return first_tool(request)
        return Reply(says or "\n".join(request.results.values()) or SORRY)

    def _at(self, verb: str) -> str | None:
        """What the last comments above the line say; those that stand together hold together."""
        above = [each for each in self._told if each[0] < self.line]
        told: str | None = None
        for number, (line, said, what) in enumerate(above):
            begins = number == 0 or line > above[number - 1][0] + 1
            told = what if said == verb else None if begins else told
        return told


def _calls(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    at = 0
    while name := _NAME.match(text, at):
        arguments, at = json.JSONDecoder().raw_decode(text, name.end())
        yield name[1], arguments


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs all samples of a page; fails the test where one prints what the page does not show."""
    if "curl " in page.read_text() and shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    ids = Ids()
    script = Script(page)
    with ScriptedModel(script) as model, Module(page) as module:
        for name, value in model.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        printed = ""
        with Terminal(folder, ids, model.environment) as terminal:
            for block in blocks(page):
                where = f"{page.relative_to(ROOT)}:{block.line}"
                script.line = block.line
                match block.language:
                    case "python" | "typescript" | "toml" if block.file is not None:
                        terminal.write(block.file, block.text)
                    case "python":
                        printed = module.run(block)
                    case "console":
                        for command, shown in commands(block.text):
                            terminal.run(command, shown)
                    case "text" if block.about:
                        terminal.check_server(block.about, block.text)
                    case "text" if block.follows == "python":
                        assert ids.matches(block.text, printed), f"{where} shows\n{block.text}\nbut it is\n{printed}"
                    case _:
                        pass
