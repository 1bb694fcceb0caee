"""Every sample of the documentation runs, and prints what the page says that it prints.

Pages on integrations that need a framework are run where that is, by `tests/ext/*/test_docs.py`.
"""

from pathlib import Path

import pytest

from tests.docs.pages import LANGUAGES, ROOT, blocks, environment_of, name_of, pages
from tests.docs.running import run_page

PAGES = [page for page in pages() if any(block.language in ("python", "console") for block in blocks(page))]


HERE = [page for page in PAGES if environment_of(page) is None]


@pytest.mark.parametrize("page", HERE, ids=name_of)
def test_every_sample_of_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(page, tmp_path, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_file_of_the_page_goes_unused(page: Path) -> None:
    said = "".join(block.text for block in blocks(page) if block.language == "console")
    for block in blocks(page):
        if block.file is not None:
            module = block.file.removesuffix(".py").replace("/", ".")
            assert f"{module}:" in said or block.file in said, f"no command of {page.name} uses {block.file}"


@pytest.mark.parametrize("page", pages(), ids=name_of)
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
