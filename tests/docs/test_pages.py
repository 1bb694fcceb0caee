"""Every sample of the documentation runs, and prints what the page says that it prints."""

import shutil
from pathlib import Path

import pytest

from perdure.llm.chat import ChatRequest, Reply
from perdure.testing.model import ScriptedModel, first_tool
from tests.docs.matching import Ids
from tests.docs.pages import LANGUAGES, ROOT, blocks, pages
from tests.docs.python import Module
from tests.docs.terminal import Terminal, commands

PAGES = [page for page in pages() if any(block.language in ("python", "console") for block in blocks(page))]


def support_desk(request: ChatRequest) -> Reply:
    """What the model of the samples says."""
    if request.tools:
        return first_tool(request)
    return Reply(content="Sorry about the double charge: one of the two is on its way back to you.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_sample_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "curl " in page.read_text() and shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    ids = Ids()
    with ScriptedModel(support_desk) as model, Module(page) as module:
        monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
        monkeypatch.chdir(tmp_path)
        printed = ""
        with Terminal(tmp_path, ids, {"OPENAI_BASE_URL": model.base_url}) as terminal:
            for block in blocks(page):
                where = f"{page.relative_to(ROOT)}:{block.line}"
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_file_of_the_page_goes_unused(page: Path) -> None:
    said = "".join(block.text for block in blocks(page) if block.language == "console")
    for block in blocks(page):
        if block.file is not None:
            module = block.file.removesuffix(".py").replace("/", ".")
            assert f"{module}:" in said or block.file in said, f"no command of {page.name} uses {block.file}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_says_what_it_is(page: Path) -> None:
    for block in blocks(page):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.language not in ("typescript", "toml") or block.file, f"{where} does not say which file it is"
        assert block.language in LANGUAGES or page.name == "CONTRIBUTING.md", (
            f"{where} is a block of {block.language!r}"
        )
        if block.language == "sh":
            for line in block.text.splitlines():
                assert line.startswith(("make ", "pip install ", "npm install ", "git clone ", "cd ", "#")), (
                    f"{where}: {line} is not run"
                )
