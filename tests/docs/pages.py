"""The documentation as data: its pages, and the fenced blocks of each.

How a block is meant, by the word after its fence:

    python          code. With a first line such as `# app.py` it is that file, for commands of the page to use;
                    else it belongs to the page's own module, where a top-level `await` has an `engine` at hand
    typescript      a file, which its first line names: `// app.ts`
    toml            another, as `# cluster.toml`
    console         `$ ` commands, each with what it prints; `^C` stops the server that was started last
    text            after a `python` block: what that prints. Anywhere else: a drawing
    text up|serve   something that this server has printed by now; `text up all`: that, and nothing else
    sh              to be typed by a reader who installs; not run here

`...` stands for anything, ids stand for those that really come, and ports for free ones.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGES = ("python", "typescript", "toml", "console", "text", "sh")

ENVIRONMENTS = {
    "adk": "adk",
    "langchain": "langchain",
    "litellm": "litellm",
    "openai-agents": "openai",
    "pydantic-ai": "pydantic_ai",
}
"""The pages of `docs/integrations` that need a framework, with its environment, a folder in `tests/ext`."""

_FENCE = re.compile(r"^( *)```(.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is that of its first line in the page; `follows` is the language of the one just above."""

    language: str
    about: str
    text: str
    line: int
    follows: str | None

    @property
    def file(self) -> str | None:
        """The file that it is, if it says so."""
        named = re.match(r"(?:#|//) ([\w/]+\.(?:py|ts|toml))\n", self.text)
        return named[1] if named and self.language in ("python", "typescript", "toml") else None


def pages() -> list[Path]:
    """Every page a user may read."""
    top = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def environment_of(page: Path) -> str | None:
    """The environment that a page's samples need; None: that of all tests."""
    return ENVIRONMENTS.get(page.stem) if page.parent.name == "integrations" else None


def name_of(page: Path) -> str:
    """What a page's tests are called."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text().splitlines()
    opened: tuple[int, str] | None = None
    last: tuple[str, int] | None = None  # language and last line of the block before
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            opened = (number, fence[2])
            continue
        start, info = opened
        language, _, about = info.partition(" ")
        indent = len(fence[1])
        text = "".join(f"{inner[indent:]}\n" for inner in lines[start : number - 1])
        adjacent = last is not None and not any(lines[last[1] : start - 1])
        yield Block(language, about, text, start + 1, last[0] if last is not None and adjacent else None)
        opened, last = None, (language, number)
    assert opened is None, f"{page}:{opened[0]} opens a block that never closes"
