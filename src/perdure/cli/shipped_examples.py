"""The examples as they are shipped: which there are, in which versions, what a version needs, how it is started."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from perdure.demo.stage import examples_folder
from perdure.errors import UsageError

_SKIPPED = frozenset(("__pycache__", "node_modules"))


@dataclass(frozen=True, slots=True)
class Sdk:
    """What a version of an example is written with."""

    name: str
    module: str
    """The version's module in the example's folder."""
    packages: tuple[str, ...] = ()
    """What must be importable for it."""
    extra: str | None = None
    """What installs them: `pip install '.[extra]'`."""
    key: str | None = "OPENAI_API_KEY"
    """Where its models' key is looked for."""


SDKS = (
    Sdk("plain", "plain"),
    Sdk("openai-agents", "with_openai_agents", ("agents",), "openai"),
    Sdk("pydantic-ai", "with_pydantic_ai", ("pydantic_ai", "openai", "fastmcp"), "pydantic-ai"),
    Sdk("adk", "with_adk", ("google.adk", "mcp"), "adk", key="GOOGLE_API_KEY"),
    Sdk("langchain", "with_langchain", ("langchain", "langchain_openai", "langchain_mcp_adapters"), "langchain"),
    Sdk("litellm", "with_litellm", ("litellm", "mcp"), "litellm"),
)
_BY_HAND = SDKS[0]
_OF_THEIR_OWN = {
    "polyglot": Sdk("vercel-ai", "claim_approval", key=None),
    "three_sdks": Sdk("three-sdks", "coordinator", key=None),
}
"""What is there in one version only; its README says all that it needs."""
_NEEDED_BY_HAND = {"mcp_tools": "mcp"}
"""What an example needs besides, where no extra of an SDK has it."""


@dataclass(frozen=True, slots=True)
class Example:
    """One folder of `examples/`."""

    name: str
    shows: str
    """What it shows, in a line."""

    @property
    def folder(self) -> Path:
        return examples_folder() / self.name

    def versions(self) -> list[Sdk]:
        """What it is written with; what is copied if nobody says which comes first."""
        if self.name in _OF_THEIR_OWN:
            return [_OF_THEIR_OWN[self.name]]
        return [sdk for sdk in SDKS if sdk is _BY_HAND or (self.folder / f"{sdk.module}.py").is_file()]

    def version(self, sdk: str | None) -> Sdk:
        """One of them, by its name.

        Raises:
            UsageError: there is none; the message names those that there are.
        """
        found = next((each for each in self.versions() if sdk in (each.name, None)), None)
        if found is None:
            there = ", ".join(each.name for each in self.versions())
            raise UsageError(f"there is no version of {self.name} with {sdk!r}: --sdk takes one of {there}")
        return found

    def files(self, sdk: Sdk) -> list[Path]:
        """What a version needs, as paths in `examples/`: its module, what goes with it, and what they import."""
        others = {f"{each.module}.py" for each in SDKS if each is not sdk}
        if sdk in SDKS[1:]:
            others.add(f"{self._main()}.py")
        found = [
            path.relative_to(examples_folder())
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name not in others and not _SKIPPED & set(path.parts)
        ]
        left = [each for each in found if each.suffix == ".py"]
        while left:
            for path in _imported(examples_folder() / left.pop()):
                if path not in found:
                    found.append(path)
                    left.append(path)
        return found

    def readme(self, sdk: Sdk) -> str:
        """Its README, for one version alone, which lies in a folder of its own."""
        text = (self.folder / "README.md").read_text("utf-8")
        text = re.sub(r"\n+\[`\w+`\]\(\w+\.py\) is written by hand.*\n?\Z", "\n", text, flags=re.DOTALL)
        text = re.sub(r"\]\(\.\./\w+\)", "]", text)  # its neighbours are not copied
        text = re.sub(r"(In|From) the folder `examples`", r"\1 the folder above this one", text)
        if sdk in SDKS[1:]:
            text = text.replace(f"{self.name}.{self._main()}:app", f"{self.name}.{sdk.module}:app")
        return text

    def installed_by(self, sdk: Sdk) -> str | None:
        """What installs what a version needs, in a clone of perdure; None if all of it is here."""
        by_hand = _NEEDED_BY_HAND.get(self.name) if sdk is _BY_HAND else None
        if all(map(_is_here, sdk.packages if by_hand is None else [by_hand])):
            return None
        return f"pip install '.[{sdk.extra}]'" if by_hand is None else f"pip install {by_hand}"

    def commands(self, sdk: Sdk) -> list[tuple[str, str]]:
        """How it is started and asked: what its README says, and types."""
        blocks = re.findall(r"\n\n((?:[^\n]+\n)+)\n```\w*\n(.*?)```", self.readme(sdk), re.DOTALL)
        return [(said.rstrip(), typed.rstrip()) for said, typed in blocks]

    def _main(self) -> str:
        """The module that an SDK's version stands in for."""
        return next(each for each in ("plain", "router", "agent") if (self.folder / f"{each}.py").is_file())


def examples() -> list[Example]:
    """All of them, in the order of their README."""
    rows = re.findall(
        r"^\| \[(\w+)\]\(\1\) \| (.+?) \|$", (examples_folder() / "README.md").read_text("utf-8"), re.MULTILINE
    )
    return [Example(name, shows) for name, shows in rows]


def example(name: str) -> Example:
    """One of them, by its name.

    Raises:
        UsageError: there is none; the message has one that is named alike.
    """
    known = {each.name: each for each in examples()}
    wanted = name.replace("-", "_")
    if wanted not in known:
        close = get_close_matches(wanted, known, n=1)
        hint = f"Did you mean {close[0]}?" if close else "`perdure example` lists them."
        raise UsageError(f"there is no example {name!r}. {hint}")
    return known[wanted]


def _is_here(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def _imported(module: Path) -> Iterator[Path]:
    """What a module imports of the examples, as paths in `examples/`."""
    root = examples_folder()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                named = [each.name for each in names]
            case ast.ImportFrom(module=str(package), names=names):
                named = [package, *(f"{package}.{each.name}" for each in names)]
            case _:
                continue
        for name in named:
            path = Path(*name.split(".")).with_suffix(".py")
            if (root / path).is_file():
                yield path
