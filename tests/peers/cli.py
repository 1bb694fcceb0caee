"""The official command line, as the tests run it, and what its output says."""

import os
import re
import subprocess
from pathlib import Path

from msgspec import Struct

from tests.conformance.processes import NPM_MODULES, EngineAddress

RESTATE = NPM_MODULES / ".bin" / "restate"
TIMEOUT_S = 60

_FIELD = re.compile(r"^\s*(\w[\w &-]*?):?\s{2,}(\S.*?)\s*$", re.MULTILINE)


class Output(Struct, frozen=True):
    code: int
    text: str
    """What it printed; where it is one JSON document, nothing else is in there."""
    errors: str


class Cli:
    """`restate ...` against one engine, with no configuration of the user's."""

    def __init__(self, engine: EngineAddress, home: Path) -> None:
        self._environment = {
            **os.environ,
            "RESTATE_ADMIN_URL": engine.admin_url,
            "RESTATE_INGRESS_URL": engine.ingress_url,
            "RESTATE_CLI_CONFIG_HOME": str(home),
            "NO_COLOR": "1",
            "DO_NOT_TRACK": "1",
        }

    def run(self, *arguments: str) -> Output:
        done = subprocess.run(
            [RESTATE, "--yes", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Output(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        output = self.run(*arguments)
        assert output.code == 0, f"restate {' '.join(arguments)}: exit {output.code}\n{output.text}{output.errors}"
        return output.text

    def refused(self, *arguments: str) -> str:
        """What is said by a command that must fail."""
        output = self.run(*arguments)
        assert output.code == 1, f"restate {' '.join(arguments)}: exit {output.code}\n{output.text}{output.errors}"
        return output.text + output.errors


def fields(text: str) -> dict[str, str]:
    """The lines that name something and give its value: `Status:   paused`."""
    return dict(_FIELD.findall(text))


def row_of(text: str, cell: str) -> list[str]:
    """The cells of the first row of a table that has this one."""
    for line in text.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if cell in cells:
            return cells
    raise AssertionError(f"no row with {cell!r} in:\n{text}")
