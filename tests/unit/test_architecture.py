"""Who may import whom: the layers of ARCHITECTURE.md, read from the code itself.

A layer is a folder or a module directly under `perdure`. What is not listed may not exist: a new layer says here what
it may know.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import perdure

ROOT = Path(perdure.__file__).parent

LEAVES = {"errors", "version", "callsites", "http_threads", "retry_after", "times"}
BELOW = LEAVES | {"protocol", "transport"}  # what both the SDK and the engine may know
EVERYTHING = {"*"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "callsites": set(),
    "http_threads": set(),
    "retry_after": set(),
    "times": set(),
    "protocol": {"errors", "times"},
    "transport": LEAVES | {"protocol"},
    "key_files": {"errors", "protocol"},
    "sdk": BELOW,
    "engine": BELOW | {"key_files"},
    "server": LEAVES | {"protocol", "engine"},
    "embedded": BELOW | {"sdk", "engine", "server", "watchdog", "typed_calls"},
    "typed_calls": LEAVES | {"protocol", "sdk", "engine"},
    "watchdog": LEAVES,
    "cli": LEAVES | {"protocol", "server", "watchdog", "key_files"},
    "ext": LEAVES | {"sdk"},
    "telemetry": LEAVES | {"sdk", "engine"},
    "llm": LEAVES | {"sdk"},
    "testing": EVERYTHING,
    "demo": EVERYTHING,
    "__init__": LEAVES | {"sdk", "embedded", "engine", "server"},  # the public names, lazily
}

# The integrations of `ext`, each with the packages that nobody else may import. They know what `ext` has for them all,
# and nothing of each other.
FRAMEWORKS: dict[str, set[str]] = {
    "adk": {"google.adk", "google.genai"},
    "langchain": {"langchain", "langchain_core", "langchain_mcp_adapters", "langgraph", "langsmith"},
    "litellm": {"litellm"},
    "openai": {"agents", "openai"},
    "pydantic_ai": {"pydantic_ai", "pydantic_graph"},
}
EXTRAS = {name: name.replace("_", "-") for name in FRAMEWORKS}

# Modules that may know more than their layer: where engine and SDK are joined, and where an endpoint is served.
JOINTS: dict[str, set[str]] = {
    "cli/demo.py": {"demo"},
    "cli/shipped_examples.py": {"demo"},  # which knows where they are
    "cli/up.py": {"engine", "sdk", "embedded"},
    "cli/serve.py": {"sdk"},
    "cli/imports.py": {"sdk"},
}

# Where cores and shells are told apart. What is not in `SHELLS` here is a core: no I/O, no clock, no chance, no await.
# Time and ids are given to it. A core of the engine may ask `engine/store/reader.py`, whose answers are look-ups.
DIVIDED = ("protocol", "sdk", "engine", "server")
SHELLS = [
    "protocol/ids.py",  # makes ids, by chance
    "sdk/attempt.py",
    "sdk/capabilities/deadline.py",
    "sdk/capabilities/runs.py",
    "sdk/client.py",
    "sdk/combinators.py",
    "sdk/context.py",
    "sdk/definition.py",
    "sdk/endpoint.py",
    "sdk/exchange.py",
    "sdk/executions.py",
    "sdk/foreign_awaits.py",
    "sdk/progress.py",
    "sdk/asked_delays.py",  # a date is a delay from now
    "sdk/settling.py",
    "sdk/tasks.py",
    "sdk/termination.py",
    "sdk/threads.py",
    "sdk/waits.py",
    "engine/committer.py",
    "engine/faces/invocations.py",
    "engine/cycle.py",
    "engine/faces/changes.py",
    "engine/faces/deployments.py",
    "engine/engine.py",
    "engine/faces/objects.py",
    "engine/faces/rules.py",
    "engine/faces/schedules.py",
    "engine/faces/ways.py",
    "engine/store/database.py",
    "engine/store/pinned.py",
    "engine/store/reader.py",
    "engine/store/writer.py",
    "server/admin",
    "server/app.py",
    "server/ingress.py",
    "server/ingress_bodies.py",
    "server/query/live.py",
    "server/query/queries.py",
    "server/query/reading.py",
    "server/query/worker.py",
    "server/sockets.py",
]
IMPURE = {
    "apsw",
    "asyncio",
    "concurrent",
    "fcntl",
    "httpx",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "selectors",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "uuid",
    "uvicorn",
}
CLOCKS = {"now", "today", "utcnow"}  # of `datetime`, which is a type else
STORE = "perdure.engine.store.database"  # its connection is one to SQLite


def modules(under: str = "") -> list[Path]:
    where = ROOT / under
    return [where] if where.suffix else sorted(path for path in where.rglob("*.py") if not path.stem.endswith("_pb2"))


def layer(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Full names of what a module imports, anywhere in it, with the line."""
    package = ("perdure", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(), path)):
        match node:
            case ast.Import(names):
                yield from ((alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(module, names, level):
                base = [*package[: len(package) - level + 1]] if level else []
                yield from (
                    (".".join([*base, *([module] if module else []), alias.name]), node.lineno) for alias in names
                )
            case ast.Call(
                ast.Name("import_module") | ast.Attribute(attr="import_module"), [ast.Constant(str(name)), *_]
            ):
                yield name, node.lineno
            case _:
                pass


def known_layers(path: Path) -> Iterator[tuple[str, int]]:
    """The layers of ours that a module imports, with the line."""
    for name, line in imports(path):
        first, *rest = name.split(".")
        if first == "perdure":
            target = rest[0] if rest else "__init__"
            inside = (ROOT / target).is_dir() or (ROOT / f"{target}.py").is_file()
            yield (target if inside else "__init__"), line


def test_every_layer_says_whom_it_may_know() -> None:
    assert {layer(path) for path in modules()} <= MAY_IMPORT.keys()


def test_each_layer_imports_only_what_it_may() -> None:
    wrong: list[str] = []
    for path in modules():
        own, name = layer(path), path.relative_to(ROOT).as_posix()
        may = MAY_IMPORT[own] | JOINTS.get(name, set()) | {own}
        wrong += [
            f"{name}:{line} imports perdure.{target}" for target, line in known_layers(path) if not {"*", target} & may
        ]
    assert not wrong, "\n".join(wrong)


def test_sdk_and_engine_meet_only_as_messages() -> None:
    assert "engine" not in MAY_IMPORT["sdk"] | MAY_IMPORT["transport"]
    assert "sdk" not in MAY_IMPORT["engine"] | MAY_IMPORT["transport"] | MAY_IMPORT["server"]


def hidden_imports(path: Path) -> Iterator[ast.stmt]:
    """What a module imports for type checkers only."""
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from node.body


def test_no_import_hides_from_the_type_checker_to_break_a_cycle() -> None:
    """One of an optional library may hide."""
    hidden = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for path in modules()
        for node in hidden_imports(path)
        if "perdure" in ast.unparse(node) or getattr(node, "level", 0)
        if path != ROOT / "__init__.py"  # whose names are lazy
    ]
    assert not hidden, "\n".join(hidden)


def impurities(path: Path) -> Iterator[str]:
    """What a core may not have, with the line."""
    name = path.relative_to(ROOT).as_posix()
    for what, line in imports(path):
        if what.split(".")[0] in IMPURE or what.startswith(STORE):
            yield f"{name}:{line} imports {what}"
    for node in ast.walk(ast.parse(path.read_text(), path)):
        match node:
            case ast.AsyncFunctionDef() | ast.Await():
                yield f"{name}:{node.lineno} awaits"
            case ast.Call(ast.Attribute(ast.Name("datetime" | "date"), attr)) if attr in CLOCKS:
                yield f"{name}:{node.lineno} looks at the clock"
            case ast.Call(ast.Name("open" | "print" | "input")):
                yield f"{name}:{node.lineno} reads or writes"
            case _:
                pass


def test_what_is_no_shell_has_no_io_no_clock_and_no_chance() -> None:
    shells = {path for shell in SHELLS for path in modules(shell)}
    cores = [path for layer in DIVIDED for path in modules(layer) if path not in shells]
    wrong = [each for path in cores for each in impurities(path)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("shell", SHELLS)
def test_only_what_touches_the_world_is_called_a_shell(shell: str) -> None:
    """So that a shell which has become pure is kept so."""
    assert any(impurity for path in modules(shell) for impurity in impurities(path))


def integration(path: Path) -> str | None:
    """The integration that a module belongs to."""
    parts = path.relative_to(ROOT).parts
    return parts[1] if len(parts) > 2 and parts[0] == "ext" else None


def test_every_integration_says_what_only_it_may_import() -> None:
    assert {integration(path) for path in modules("ext")} - {None} == FRAMEWORKS.keys()


def test_a_framework_is_imported_by_its_own_integration_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {what}, which is {owner}'s"
        for path in modules()
        for what, line in imports(path)
        for owner, packages in FRAMEWORKS.items()
        if integration(path) != owner and any(f"{what}.".startswith(f"{package}.") for package in packages)
    ]
    assert not wrong, "\n".join(wrong)


def test_integrations_know_nothing_of_each_other_and_what_they_share_knows_none() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {what}"
        for path in modules("ext")
        for what, line in imports(path)
        for other in FRAMEWORKS
        if integration(path) != other and f"{what}.".startswith(f"perdure.ext.{other}.")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_integration_without_its_framework_says_what_to_install(name: str) -> None:
    """In the environment of these tests, none is installed."""
    with pytest.raises(ImportError, match=rf"which is not installed .*pip install 'perdure\[{EXTRAS[name]}\]'"):
        import_module(f"perdure.ext.{name}")


def test_every_integration_has_an_extra_an_environment_and_pins() -> None:
    repository = ROOT.parents[1]
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    assert project["project"]["optional-dependencies"].keys() >= set(EXTRAS.values())
    assert project["dependency-groups"].keys() >= {f"ext-{extra}" for extra in EXTRAS.values()}
    assert {path.stem for path in (repository / "constraints").glob("*.txt")} == FRAMEWORKS.keys()
    makefile = (repository / "Makefile").read_text().splitlines()
    [tested] = [line for line in makefile if line.startswith("INTEGRATIONS := ")]
    assert set(tested.split()[2:]) == FRAMEWORKS.keys()


def test_importing_the_sdk_loads_no_server_code_and_no_framework() -> None:
    code = "import sys, perdure; perdure.Service; perdure.app; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    ours = "; print(*[m for m in sys.modules if m.startswith('perdure.')])"
    loaded = subprocess.run([sys.executable, "-c", code + ours], capture_output=True, text=True, check=True).stdout
    assert not {"starlette", "uvicorn", "granian", "pyqwest", "apsw", "cyclopts", "rich", "cryptography"} & set(
        loaded.split()
    )
    of_others = ("perdure.engine", "perdure.server", "perdure.cli", "perdure.ext")
    assert not [m for m in loaded.split() if m.startswith(of_others)]
