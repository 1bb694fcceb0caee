"""What `module:attr` may name, and the one sentence for what it may not."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perdure.cli.exits import ImportFailed
from perdure.cli.imports import load_endpoint
from perdure.errors import UsageError

GOOD = """
import perdure

first, second = perdure.Service("First"), perdure.Service("Second")

@first.handler()
async def run(ctx: perdure.Context) -> None: ...

@second.handler()
async def run(ctx: perdure.Context) -> None: ...

both = [first, second]
app = perdure.app(both)
mixed = [first, 7]
nothing = []
number = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes a module `mine` into the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(code: str, path: str = "mine.py") -> None:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code)

    yield write
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("mine", "package"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("references", "names"),
    [
        (["mine:app"], ["First", "Second"]),
        (["mine:both"], ["First", "Second"]),
        (["mine:second"], ["Second"]),
        (["mine:second", "mine:first"], ["Second", "First"]),
        ([], []),
    ],
)
def test_services_are_found(module: Callable[[str], None], references: list[str], names: list[str]) -> None:
    module(GOOD)
    assert [service.name for service in load_endpoint(references).services] == names


def test_an_app_alone_is_taken_as_it_is(module: Callable[[str], None]) -> None:
    module(GOOD)
    endpoint = load_endpoint(["mine:app"])
    assert endpoint is sys.modules["mine"].app


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("mine:ap", r"mine \(mine.py\) has no 'ap': did you mean 'app'\?"),
        ("mine:x", r"mine \(mine.py\) has no 'x': it has services in first, second, app"),
        ("mine:number", "mine:number is an int: it must be what perdure.app"),
        ("mine:mixed", "mine:mixed holds an int: it must be"),
        ("mine:nothing", "mine:nothing is empty: it must be"),
        ("yours:app", "no module 'yours' in /"),
        ("mine.sub:app", "no module 'mine.sub' in /"),
    ],
)
def test_what_is_not_there_is_one_sentence(module: Callable[[str], None], reference: str, sentence: str) -> None:
    module(GOOD)
    with pytest.raises(ImportFailed, match=sentence) as caught:
        load_endpoint([reference])
    assert "\n" not in str(caught.value)


def test_the_same_service_twice_is_said(module: Callable[[str], None]) -> None:
    module(GOOD)
    with pytest.raises(ImportFailed, match="mine:app mine:first cannot be served: two services are named 'First'"):
        load_endpoint(["mine:app", "mine:first"])


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("x = 1\ny = (\n", r"mine cannot be imported: mine.py:2: SyntaxError: '\(' was never closed"),
        ("x = 1\nx.y\n", "mine cannot be imported: mine.py:2: AttributeError: 'int' object has no attribute 'y'"),
        ("\nimport nowhere\n", "mine cannot be imported: mine.py:2: ModuleNotFoundError: No module named 'nowhere'"),
        ("import json\njson.loads('{')\n", "mine.py:2: JSONDecodeError"),
        ("import sys\nsys.exit(3)\n", "mine.py:2: SystemExit: 3"),
        ("import perdure\nperdure.nothing\n", "mine.py:2: AttributeError"),
        ("raise ValueError('two\\nlines')\n", "mine.py:1: ValueError: two lines"),
    ],
)
def test_code_that_fails_is_named_by_file_and_line(module: Callable[[str], None], code: str, sentence: str) -> None:
    module(code)
    with pytest.raises(ImportFailed, match=sentence) as caught:
        load_endpoint(["mine:app"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reference", ["mine", ":app", "mine:", "mine.py:app", "./mine.py:app"])
def test_what_is_not_of_the_form_is_a_usage_error(module: Callable[[str], None], reference: str) -> None:
    module(GOOD)
    with pytest.raises(UsageError, match=r"write .*mod|write mine:app"):
        load_endpoint([reference])
