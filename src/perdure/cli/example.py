"""`perdure example`: programs that show a pattern each, listed, or copied into a folder, ready to run."""

import re
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from perdure.cli.shipped_examples import SDKS, Example, Sdk, examples
from perdure.cli.shipped_examples import example as find_example
from perdure.cli.tables import print_table
from perdure.errors import UsageError


def example(
    name: Annotated[
        str | None, typer.Argument(help="Which one to copy; without it, they are listed.", show_default=False)
    ] = None,
    sdk: Annotated[str | None, typer.Option(help="What it is written with; else by hand.", show_default=False)] = None,
    to: Annotated[
        Path | None, typer.Option(help="The folder to copy it into; else NAME-example.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there and differ.")] = False,
) -> None:
    """List programs that show a pattern each, or copy one into a folder, ready to run."""
    if name is None:
        print_table(["NAME", "SHOWS", "SDK"], [(each.name, each.shows, _sdks(each)) for each in examples()])
        print(
            f"\nall: {', '.join(sdk.name for sdk in SDKS)}. `perdure example NAME --sdk SDK` copies one into a folder."
        )
        return
    chosen = find_example(name)
    version = chosen.version(sdk)
    folder = Path(f"{chosen.name}-example") if to is None else to
    _copy(chosen, version, folder, overwrite=force)
    _tell(chosen, version, folder)


def _sdks(listed: Example) -> str:
    versions = listed.versions()
    return "all" if len(versions) == len(SDKS) else ", ".join(sdk.name for sdk in versions)


def _copy(chosen: Example, version: Sdk, folder: Path, *, overwrite: bool) -> None:
    """All of it, or nothing.

    Raises:
        UsageError: something else is there already.
    """
    root = chosen.folder.parent
    contents = {path: (root / path).read_bytes() for path in chosen.files(version)}
    contents[Path(chosen.name, "README.md")] = chosen.readme(version).encode()
    for path, content in contents.items():
        _check(folder / path, content, overwrite=overwrite)
    for path, content in contents.items():
        target = folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}") from error


def _check(target: Path, content: bytes, *, overwrite: bool) -> None:
    if target.is_file():
        if target.read_bytes() != content and not overwrite:
            raise UsageError(
                f"{target} is there already, and differs: nothing was copied. --to names another folder, --force "
                "overwrites it"
            )
        return
    in_the_way = [each for each in (target, *target.parents) if each.exists() and (each == target or not each.is_dir())]
    if in_the_way:
        raise UsageError(f"{in_the_way[0]} is in the way: nothing was copied. --to names another folder")


def _tell(chosen: Example, version: Sdk, folder: Path) -> None:
    print(f"{chosen.name} is in {folder / chosen.name}.")
    if (install := chosen.installed_by(version)) is not None:
        print(f"\nInstall what it needs, in your clone of perdure:\n\n  {install}")
    print(f"\nGo there:\n\n  cd {quote(str(folder))}")
    if version.key is not None:
        print(f"\nName a model:\n\n  export {version.key}=...")
    if version.name == "plain":
        print("\nWithout one, a small model of its own answers. In your clone of perdure: pip install '.[local-llm]'")
    for said, typed in chosen.commands(version):
        lines = typed.replace("\n", "\n  ")
        print(f"\n{re.sub('(In|From) the folder above this one', 'Here', said)}\n\n  {lines}")
