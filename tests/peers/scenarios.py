"""Runs what a client does, by name, in a process of the client's own language; gives what came of it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.conformance.processes import ROOT, EngineAddress

TIMEOUT_S = 60


class Client(Struct, frozen=True):
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    engine: EngineAddress
    key: str

    def __call__(self, scenario: str) -> Any:
        """What the scenario printed as JSON."""
        done = subprocess.run(
            [*self.command, scenario, self.engine.ingress_url, self.key],
            env={**os.environ, **self.environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
