"""Who may import whom: the layers of ARCHITECTURE.md, read from the code itself.

A layer is a folder or a module directly under `perdure`. What is not listed may not exist: a new layer says here what
it may know.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import perdure

ROOT = Path(perdure.__file__).parent

LEAVES = {"errors", "version", "callsites", "times"}
BELOW = LEAVES | {"protocol", "transport"}  # what both the SDK and the engine may know
EVERYTHING = {"*"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "callsites": set(),
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

# Modules that may know more than their layer: where engine and SDK are joined, and where an endpoint is served.
JOINTS: dict[str, set[str]] = {
    "cli/demo.py": {"demo"},
    "cli/up.py": {"engine", "sdk", "embedded"},
    "cli/serve.py": {"sdk"},
    "cli/imports.py": {"sdk"},
}

# A core: no I/O, no clock, no randomness. Time and ids are given to it.
CORES = [
    "protocol/frames.py",
    "protocol/messages.py",
    "protocol/versions.py",
    "protocol/discovery.py",
    "protocol/identity.py",
    "sdk/machine.py",
    "sdk/journal.py",
    "engine/flow",
    "engine/events.py",
    "engine/effects.py",
    "engine/invocation.py",
    "engine/processor.py",
    "engine/keys.py",
    "engine/retries.py",
    "engine/timers.py",
    "engine/addresses.py",
    "engine/deployment.py",
    "engine/options.py",
    "engine/registration.py",
    "engine/registry.py",
    "engine/schedules.py",
    "engine/firing.py",
    "engine/commands",
    "server/ingress_paths.py",
    "server/ingress_targets.py",
    "server/ingress_request.py",
    "server/ingress_openapi.py",
    "server/openapi_builtin.py",
    "server/openapi_schemas.py",
]
IMPURE = {
    "asyncio",
    "socket",
    "time",
    "datetime",
    "random",
    "secrets",
    "threading",
    "os",
    "subprocess",
    "apsw",
    "httpx",
}


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


def test_no_import_hides_from_the_type_checker_to_break_a_cycle() -> None:
    hidden = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules()
        for name, line in imports(path)
        if name == "typing.TYPE_CHECKING" and path != ROOT / "__init__.py"  # whose names are lazy
    ]
    assert not hidden, "\n".join(hidden)


def test_cores_have_no_io_no_clock_and_no_chance() -> None:
    wrong: list[str] = []
    for core in CORES:
        for path in modules(core):
            name = path.relative_to(ROOT).as_posix()
            wrong += [f"{name}:{line} imports {what}" for what, line in imports(path) if what.split(".")[0] in IMPURE]
            wrong += [
                f"{name}:{node.lineno} awaits"
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.AsyncFunctionDef | ast.Await)
            ]
    assert not wrong, "\n".join(wrong)


def test_importing_the_sdk_loads_no_server_code_and_no_framework() -> None:
    code = "import sys, perdure; perdure.Service; perdure.app; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    ours = "; print(*[m for m in sys.modules if m.startswith('perdure.')])"
    loaded = subprocess.run([sys.executable, "-c", code + ours], capture_output=True, text=True, check=True).stdout
    assert not {"starlette", "uvicorn", "granian", "pyqwest", "apsw", "cyclopts", "rich", "cryptography"} & set(
        loaded.split()
    )
    assert not [m for m in loaded.split() if m.startswith(("perdure.engine", "perdure.server", "perdure.cli"))]
