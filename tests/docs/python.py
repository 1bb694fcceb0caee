"""Runs a page's Python: all its blocks are one module, and where one awaits, an engine runs what the page defined."""

import ast
import contextlib
import io
import sys
from asyncio import Runner
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import perdure
from perdure.sdk.definition import ServiceDefinition
from tests.docs.pages import Block


class Module:
    """The module that a page is."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._module = ModuleType(f"page_{page.stem.replace('-', '_')}")
        sys.modules[self._module.__name__] = self._module  # annotations are looked up there
        self._runner = Runner()

    def run(self, block: Block) -> str:
        """Runs a block; what it printed."""
        source = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's own line
        statements = ast.parse(source, str(self._page)).body
        begins = next((index for index, statement in enumerate(statements) if _awaits(statement)), len(statements))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(self._compiled(statements[:begins]), vars(self._module))
            if statements[begins:]:
                self._runner.run(self._with_engine(self._compiled(statements[begins:])))
        return printed.getvalue()

    def _compiled(self, statements: list[ast.stmt]) -> Any:
        module = ast.Module(statements, type_ignores=[])
        return compile(module, str(self._page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    async def _with_engine(self, code: Any) -> None:
        names = vars(self._module)
        services = [value for value in names.values() if isinstance(value, ServiceDefinition)]
        async with perdure.Engine(services, data_dir=None) as engine:
            names["engine"] = engine
            await eval(code, names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runner.close()
        del sys.modules[self._module.__name__]


def _awaits(statement: ast.stmt) -> bool:
    """Whether a statement awaits by itself, not only in a function that it defines."""
    if isinstance(statement, ast.AsyncFunctionDef | ast.FunctionDef | ast.ClassDef):
        return False
    return any(isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor) for node in ast.walk(statement))
