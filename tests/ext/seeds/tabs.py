"""A tab of the page, as modules of Python: what it shows, and around it what it leaves out."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from perdure.sdk.definition import ServiceDefinition
from tests.ext.seeds.renaming import renamed

SEEDS = Path(__file__).parent
MAIN = "remote_agents"  # the module of the one that is called
_KEPT: list[ModuleType] = []  # models keep their connections for as long as they live, and complain where they are lost


class Tab:
    """One of the page's tabs, by its folder."""

    def __init__(self, folder: str) -> None:
        self._folder = SEEDS / folder
        self.agents = sorted(path.stem for path in (self._folder / "around").glob("*_agent*.txt"))
        """The modules that are processes of their own when agents are remote."""

    @property
    def curl(self) -> str:
        """The call as the page has it."""
        return (self._folder / "curl.txt").read_text().strip()

    @property
    def input(self) -> Any:
        """What is sent with it."""
        [body] = re.findall(r"'(\{.*\})'", self.curl, re.DOTALL)
        return json.loads(body)

    def write(self, folder: Path) -> None:
        """Writes all modules."""
        for around in (self._folder / "around").glob("*.txt"):
            page = self._folder / around.name
            source = around.read_text()
            if page.exists():
                source = source.replace("{page}", renamed(page.read_text()))
            (folder / f"{around.stem}.py").write_text(source)

    @contextmanager
    def imported(self, folder: Path) -> Iterator[list[ServiceDefinition]]:
        """All services, the main one's first; its modules are importable meanwhile, and hide others of their names."""
        self.write(folder)
        names = [path.stem for path in folder.glob("*.py")]
        hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
        sys.path.insert(0, str(folder))
        try:
            modules = [import_module(name) for name in (MAIN, *(each for each in self.agents if each != MAIN))]
            _KEPT.extend(modules)
            yield [service for module in modules for service in module.services.services]
        finally:
            sys.path.remove(str(folder))
            for name in names:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)
