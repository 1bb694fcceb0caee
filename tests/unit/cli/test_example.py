"""`perdure example`: what it lists, what it copies, what it refuses."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perdure.cli.app import app
from perdure.cli.shipped_examples import SDKS, Example, Sdk, examples
from perdure.demo.stage import examples_folder
from perdure.errors import UsageError

VERSIONS = [(each, sdk) for each in examples() for sdk in each.versions()]
every_version = pytest.mark.parametrize(("example", "sdk"), VERSIONS, ids=[f"{e.name}-{s.name}" for e, s in VERSIONS])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["example", *arguments])


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, UsageError)
    return str(result.exception)


def test_every_folder_is_listed_with_what_it_shows_and_is_written_with() -> None:
    listed = run().output
    folders = {path.parent.name for path in examples_folder().glob("*/README.md")}
    assert {each.name for each in examples()} == folders
    assert re.search(r"^approval +a tool that asks a person, .*  all$", listed, re.MULTILINE)
    assert re.search(r"^polyglot .*  vercel-ai$", listed, re.MULTILINE)
    assert "all: plain, openai-agents, pydantic-ai, adk, langchain, litellm" in listed
    assert max(map(len, listed.splitlines()[:-1])) <= 140


@every_version
def test_a_copy_has_all_that_it_imports(example: Example, sdk: Sdk, tmp_path: Path) -> None:
    result = run(example.name, "--sdk", sdk.name, "--to", str(tmp_path))
    assert result.exit_code == 0, result.output
    modules = list(tmp_path.rglob("*.py"))
    names = {path.stem for path in examples_folder().glob("*.py")} | {path.name for path in examples_folder().iterdir()}
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in names:
                target = tmp_path / node.module.replace(".", "/")
                assert target.with_suffix(".py").is_file() or target.is_dir(), f"{module.name} imports {node.module}"


@every_version
def test_what_it_says_to_type_names_modules_that_were_copied(example: Example, sdk: Sdk, tmp_path: Path) -> None:
    said = run(example.name, "--sdk", sdk.name, "--to", str(tmp_path)).output
    named = re.findall(r"([\w.]+):app", said)
    assert named
    for module in named:
        assert (tmp_path / module.replace(".", "/")).with_suffix(".py").is_file(), module
    if sdk in SDKS[1:]:
        assert f"{example.name}.{sdk.module}" in named
    assert "curl localhost:8080/" in said


def test_a_copy_is_loaded_from_its_folder(here: Path) -> None:
    run("approval")
    command = "import approval.plain; print(*[each.name for each in approval.plain.app.services])"
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=here / "approval-example", capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["Claims", "Reviewers"], done.stderr


def test_another_version_is_not_copied_and_the_readme_is_of_this_one(here: Path) -> None:
    run("approval", "--sdk", "litellm", "--to", "mine")
    assert {path.name for path in (here / "mine" / "approval").iterdir()} == {"README.md", "with_litellm.py"}
    readme = (here / "mine" / "approval" / "README.md").read_text()
    assert "perdure up approval.with_litellm:app" in readme
    assert "plain" not in readme


def test_it_says_what_to_install_where_that_is_missing(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setattr("perdure.cli.shipped_examples.find_spec", lambda package: None)
    assert "clone of perdure:\n\n  pip install '.[pydantic-ai]'\n" in run("approval", "--sdk", "pydantic-ai").output
    assert "clone of perdure:\n\n  pip install mcp\n" in run("mcp-tools").output
    assert "clone of perdure:\n\n" not in run("approval").output
    monkeypatch.setattr("perdure.cli.shipped_examples.find_spec", lambda package: object())
    assert "pip install '.[pydantic-ai]'" not in run("approval", "--sdk", "pydantic-ai").output


def test_a_framework_without_what_it_asks_models_with_is_not_enough(
    monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setattr("perdure.cli.shipped_examples.find_spec", {"pydantic_ai": object()}.get)
    assert "pip install '.[pydantic-ai]'" in run("approval", "--sdk", "pydantic-ai").output


def test_a_changed_file_is_never_overwritten_silently(here: Path) -> None:
    run("approval")
    mine = here / "approval-example" / "approval" / "plain.py"
    mine.write_text("# mine\n")
    (here / "approval-example" / "agent_loop.py").unlink()
    told = refused("approval")
    assert "approval-example/approval/plain.py is there already, and differs: nothing was copied" in told
    assert mine.read_text() == "# mine\n"
    assert not (here / "approval-example" / "agent_loop.py").exists()
    assert run("approval", "--force").exit_code == 0
    assert "human_review" in mine.read_text()


def test_examples_share_a_folder_and_may_be_copied_again(here: Path) -> None:
    for name in ("approval", "sub-workflow", "approval"):
        assert run(name, "--to", "all").exit_code == 0
    assert (here / "all" / "sub_workflow" / "plain.py").is_file()


def test_what_is_in_the_way_is_named(here: Path) -> None:
    (here / "approval-example").write_text("a file")
    assert "approval-example is in the way: nothing was copied" in refused("approval")


def test_an_unknown_example_or_version_says_what_there_is() -> None:
    assert "there is no example 'aproval'. Did you mean approval?" in refused("aproval")
    assert "`perdure example` lists them" in refused("xyz")
    assert "--sdk takes one of plain, " in refused("approval", "--sdk", "autogen")


@pytest.mark.parametrize("example", [each for each in examples() if len(each.versions()) > 1], ids=lambda e: e.name)
def test_a_readme_names_all_versions(example: Example) -> None:
    named = re.findall(r"\[`(with_\w+)`\]\(\1\.py\)", (example.folder / "README.md").read_text())
    assert named == [sdk.module for sdk in example.versions()[1:]]
