"""The suite's tests, as results: where each one runs, and what it comes to if all is as `lacking.py` tells.

As a command it collects the whole suite and prints them.
"""

import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from msgspec import Struct, json

from tests.conformance.arrangements import Pair, arrangement_of, parameters_of
from tests.conformance.lacking import Lack, lack_of
from tests.conformance.processes import ROOT


class Result(Struct, frozen=True):
    """What one test came to: it passed, or failed for what lacks."""

    module: str
    pair: Pair
    lack: Lack | None


def result_of(test: pytest.Item) -> Result | None:
    """What it must come to; None if it is about no SDK on no engine."""
    pair = pair_of(test)
    return Result(test.path.stem, pair, lack_of(test)) if pair else None


def pair_of(test: pytest.Item) -> Pair | None:
    """Whose SDK a test is about, on whose engine; None if it is about something else."""
    if arrangement := arrangement_of(test):
        return Pair(arrangement.sdk, arrangement.engine, arrangement.way)
    parameters = parameters_of(test)
    if "endpoint" not in parameters:
        return None
    engine, _ = parameters.get("engine", ("our-engine", None))
    return Pair(parameters["endpoint"].partition("-")[0], engine, "")


def collected() -> list[Result]:
    """The whole suite's, whatever of it the process that asks was told to run."""
    listing = subprocess.run([sys.executable, "-m", "tests.conformance.collecting"], cwd=ROOT, capture_output=True)
    assert listing.returncode == 0, listing.stderr.decode()
    return json.decode(listing.stdout, type=list[Result])


class _Collector:
    def __init__(self) -> None:
        self.results: list[Result] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.results = [result for test in session.items if (result := result_of(test))]


def main() -> int:
    collector = _Collector()
    with redirect_stdout(sys.stderr):
        status = pytest.main(["--collect-only", "-qq", str(Path(__file__).parent)], plugins=[collector])
    sys.stdout.buffer.write(json.encode(collector.results))
    return status


if __name__ == "__main__":
    sys.exit(main())
