"""What exists is documented: every command, option, route, setting and public name."""

import ast
import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer.main
from starlette.routing import Route

import perdure
from perdure.cli.app import app as cli
from perdure.cli.exits import Exit
from perdure.engine.config import EngineConfig, HandlerDefaults, RetryPolicy
from perdure.engine.flow.rules import RULE
from perdure.engine.invocation import Status
from perdure.engine.registry import LAST_REVISION, OVERRIDES, PROMOTION
from perdure.engine.schedules import DEFINITION, PROGRESS
from perdure.errors import TerminalError
from perdure.sdk import definition, workflow
from perdure.sdk.virtual_object import ObjectHandlerOptions
from perdure.server.admin.app import admin_app
from perdure.server.admin.deployments import RegisterRequest
from perdure.server.app import ServerConfig
from tests.docs.pages import ENVIRONMENTS, ROOT, blocks

CONCEPTS = ROOT / "docs/concepts"
INTEGRATIONS = ROOT / "docs/integrations"


@cache
def code_of(*names: str) -> str:
    """All that stands as code in these pages (in all concepts, if none is named): blocks, and what is in ticks."""
    found = [CONCEPTS / name for name in names] or sorted(CONCEPTS.glob("*.md"))
    inline = [text for page in found for text in re.findall(r"`([^`\n]+)`", page.read_text())]
    return "\n".join([*inline, *(block.text for page in found for block in blocks(page))])


def says(code: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", code) is not None


def commands_of(command: Any, path: str) -> list[tuple[str, Any]]:
    """A command and those below it, by what is typed."""
    below = [
        each
        for name, child in getattr(command, "commands", {}).items()
        for each in commands_of(child, f"{path} {name}")
    ]
    return [(path, command), *below]


COMMANDS = commands_of(typer.main.get_command(cli), "perdure")


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[path for path, _ in COMMANDS])
def test_every_command_and_option_is_documented(path: str, command: Any) -> None:
    code = code_of("cli.md") + re.sub(r"^## ", "", (CONCEPTS / "cli.md").read_text(), flags=re.MULTILINE)
    assert says(code, path)
    section = _section((CONCEPTS / "cli.md").read_text(), path)
    options = [option for each in command.params for option in each.opts if option.startswith("--")]
    assert not [option for option in options if not says(section, option)]


@pytest.mark.parametrize("path", [path for path, command in COMMANDS[1:] if not command.hidden])
def test_every_command_is_in_the_readme(path: str) -> None:
    _, noun, *below = path.split()
    rows = [row for row in (ROOT / "README.md").read_text().splitlines() if re.match(rf"\| `perdure {noun}[ `]", row)]
    assert len(rows) == 1
    assert all(f"`{each}`" in rows[0] for each in below)


def _section(text: str, path: str) -> str:
    """What the page says of a command: the part under `## perdure noun`, or its beginning for `perdure` itself."""
    noun = " ".join(path.split()[:2])
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return next((part for part in parts if part.startswith(f"{noun}\n")), parts[0])


def test_no_option_is_documented_that_does_not_exist() -> None:
    known = {option for _, command in COMMANDS for each in command.params for option in each.opts} | {"--help", "-h"}
    said = set(re.findall(r"`(--?[a-z][\w.-]*)`", (CONCEPTS / "cli.md").read_text()))
    assert said <= known


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_documented(code: Exit) -> None:
    assert f"| {code.value} |" in (CONCEPTS / "cli.md").read_text()


ADMIN_ROUTES = [
    (route.path, method)
    for route in admin_app(None, ingress_url="").routes  # type: ignore[arg-type]
    if isinstance(route, Route)
    for method in sorted((route.methods or set()) - {"HEAD"})
]


@pytest.mark.parametrize(("path", "method"), ADMIN_ROUTES)
def test_every_route_of_the_admin_port_is_documented(path: str, method: str) -> None:
    rows = [row for row in (CONCEPTS / "admin-http.md").read_text().splitlines() if f"`{path}`" in row]
    assert any(f"| {method} |" in row for row in rows)


INGRESS_PATHS = [
    "/{service}/{handler}",
    "/{service}/{key}/{handler}",
    "/send",
    "/restate/call/{service}/{handler}",
    "/restate/call/{service}/{key}/{handler}",
    "/restate/send/",
    "/restate/awakeables/{awakeable_id}/resolve",
    "/reject",
    "/restate/a/",
    "/restate/health",
    "/restate/attach/{invocation_id}",
    "/restate/output/{invocation_id}",
    "/restate/invocation/{invocation_id}/attach",
    "/restate/invocation/{invocation_id}/output",
    "/restate/invocation/{service}/{handler}/{idempotency_key}/attach",
    "/restate/workflow/{service}/{key}/attach",
]
"""The forms that `server/ingress_paths.py` lists at its top."""


@pytest.mark.parametrize("path", INGRESS_PATHS)
def test_every_path_of_the_ingress_is_documented(path: str) -> None:
    assert path in code_of("ingress-http.md")


ENGINE_SETTINGS = (EngineConfig, HandlerDefaults, RetryPolicy, ServerConfig)
HANDLER_OPTIONS = (
    definition.CommonOptions,
    definition.StateOptions,
    definition.PayloadOptions,
    ObjectHandlerOptions,
    workflow.WorkflowMainOptions,
)
SETTINGS = [
    *((field.name, "deployments-and-embedding.md") for each in ENGINE_SETTINGS for field in dataclasses.fields(each)),
    *((name, "admin-http.md") for name in RegisterRequest.__struct_fields__),
    *((status.value, "admin-http.md") for status in Status),
    *((field.name, "durable-runs.md") for field in dataclasses.fields(perdure.RunOptions)),
    *((field.name, "errors-and-retries.md") for field in dataclasses.fields(perdure.InvocationRetryPolicy)),
    *((name, "services-and-handlers.md") for options in HANDLER_OPTIONS for name in get_type_hints(options)),
    *((field.name, "services-and-handlers.md") for field in dataclasses.fields(perdure.Request)),
]


@pytest.mark.parametrize(("name", "page"), sorted(set(SETTINGS)))
def test_every_setting_is_documented(name: str, page: str) -> None:
    assert says(code_of(page), name)


@pytest.mark.parametrize("name", perdure.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    assert name == "__version__" or says(code_of(), f"perdure.{name}") or says(code_of(), name)


HANDLES = (
    perdure.WorkflowContext,
    perdure.ScopedContext,
    perdure.DurablePromise,
    perdure.DurableFuture,
    perdure.DurableCallFuture,
    perdure.SendHandle,
    perdure.DurableClient,
    perdure.Engine,
    perdure.Endpoint,
)
METHODS = {name for handle in HANDLES for name in dir(handle) if not name.startswith("_")}
INTERNAL = {
    "attempt_finished",
    "settle",
    "address",
    "exchange",
    "combinator",
    "missing",
    "progress",
    "handle",
    "open_attempt",
    "runs_next",
    "waiter",
    "watched",
    "manifest",
    "handler",
}
"""What only our own modules call."""


@pytest.mark.parametrize("name", sorted(METHODS - INTERNAL))
def test_every_method_that_users_call_is_documented(name: str) -> None:
    assert says(code_of(), name)


def test_the_documented_fields_of_a_terminal_error_are_its_own() -> None:
    assert vars(TerminalError("no")).keys() == {"message", "status_code", "metadata"}
    assert says(code_of("errors-and-retries.md"), "metadata")


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    wrong = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", _prose(page))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not wrong


def _prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text()
    pages = [*CONCEPTS.glob("*.md"), *INTEGRATIONS.glob("*.md")]
    assert [page.name for page in pages if f"({page.parent.name}/{page.name})" not in index] == []


ADAPTERS = sorted(path.parent.name for path in (ROOT / "src/perdure/ext").glob("*/__init__.py"))
PAGE_OF = {environment: INTEGRATIONS / f"{page}.md" for page, environment in ENVIRONMENTS.items()}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_integration_has_a_page_with_samples(adapter: str) -> None:
    assert [block for block in blocks(PAGE_OF[adapter]) if block.language == "python"]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_integration_says_how_it_is_installed_in_the_same_words(adapter: str) -> None:
    extra = adapter.replace("_", "-")
    [typed] = [block.text for block in blocks(PAGE_OF[adapter]) if block.language == "sh"]
    assert typed == f"pip install '.[{extra}]' # in a clone of this repository\n"
    assert f"`pip install '.[{extra}]'`" in (ROOT / "examples/README.md").read_text()


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_public_name_of_an_integration_is_on_its_page(adapter: str) -> None:
    text = PAGE_OF[adapter].read_text()
    assert [name for name in exported(ROOT / "src/perdure/ext" / adapter / "__init__.py") if name not in text] == []


def exported(module: Path) -> list[str]:
    """What a module says it exports, read without importing what it needs."""
    [names] = [
        node.value
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return list(ast.literal_eval(names))


def test_architecture_names_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?)`", text))
    assert len(named) > 30
    assert not [name for name in named if not any((root / name).exists() for root in (ROOT / "src/perdure", ROOT))]


def test_architecture_names_every_table_of_the_store() -> None:
    schema = (ROOT / "src/perdure/engine/store/schema.sql").read_text()
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert not [table for table in re.findall(r"create table (\w+)", schema) if f"| `{table}` |" not in text]


def test_architecture_names_every_kind_of_setting() -> None:
    [row] = [line for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines() if line.startswith("| `setting` |")]
    for kind in (RULE, DEFINITION, PROGRESS, OVERRIDES, PROMOTION, LAST_REVISION):
        assert f"`{kind}`" in row


def test_architecture_and_code_state_the_same_invariants() -> None:
    text = " ".join((ROOT / "ARCHITECTURE.md").read_text().split())
    ledger = (ROOT / "src/perdure/engine/ledger.py").read_text()
    stated = re.findall(r"^(L\d) +", ledger, re.MULTILINE)
    assert stated == re.findall(r"\| (L\d) \|", text)
