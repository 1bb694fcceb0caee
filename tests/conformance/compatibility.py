"""The page on compatibility, out of a run of this suite: a plugin of pytest's, which `make compatibility` loads."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Literal

import pytest
from msgspec import Struct

from perdure import __version__
from tests.conformance.arrangements import ARRANGEMENTS, Engine, Pair, Sdk, arrangement_of, parameters_of
from tests.conformance.lacking import LACKING, Lack, what_lacks
from tests.conformance.pins import NPM, PYPI

PAGE = Path(__file__).parents[2] / "docs/compatibility.md"

SDKS: dict[Sdk, str] = {
    "ours": f"Perdure {__version__}",
    "python": f"`restate-sdk` {PYPI['restate-sdk']}",
    "typescript": f"`@restatedev/restate-sdk` {NPM['@restatedev/restate-sdk']}",
}
ENGINES: dict[Engine, str] = {
    "our-engine": f"Perdure {__version__}",
    "reference": f"`restate-server` {NPM['@restatedev/restate-server']}",
}
VERSIONS = {
    "the official Python SDK, `restate-sdk`": PYPI["restate-sdk"],
    "served by hypercorn": PYPI["hypercorn"],
    "and by granian": PYPI["granian"],
    "the official TypeScript SDK, `@restatedev/restate-sdk`": NPM["@restatedev/restate-sdk"],
    "served by Node": NPM["node"],
    "the official engine, `restate-server`": NPM["@restatedev/restate-server"],
}
WAYS = {
    "embedded": "in one process",
    "h2": "HTTP/2, both directions at once",
    "h1": "HTTP/1.1, request and response",
    "granian": "served by granian",
    **{f"v{version}": f"protocol version {version}" for version in (5, 6, 7)},
}


class Result(Struct, frozen=True):
    """What one test came to."""

    module: str
    pair: Pair
    outcome: Literal["passed", "failed", "lacking"]
    lack: Lack | None


# ---- the run ----


class Recorder:
    """Takes down what each test comes to; writes the page at the end. Under xdist the tests are other processes'."""

    def __init__(self) -> None:
        self._results: list[Result] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        if pair := pair_of(item):
            item.user_properties.append(("pair", (pair.sdk, pair.engine, pair.way)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if "pair" not in properties or (report.when != "call" and report.passed):
            return
        pair = Pair(*properties["pair"])
        file, _, test = report.nodeid.partition("::")
        lack = what_lacks(pair.name, test.partition("[")[0]) if hasattr(report, "wasxfail") else None
        outcome = "passed" if report.passed else "lacking" if lack else "failed"
        self._results.append(Result(Path(file).stem, pair, outcome, lack))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput"):
            PAGE.write_text(page(self._results))


def pair_of(test: pytest.Item) -> Pair | None:
    """Whose SDK a test is about, on whose engine; None if it is about something else."""
    if arrangement := arrangement_of(test):
        return arrangement
    parameters = parameters_of(test)
    if "endpoint" not in parameters:
        return None
    engine, _ = parameters.get("engine", ("our-engine", None))
    return Pair(parameters["endpoint"].partition("-")[0], engine, "")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Recorder())


# ---- the page ----


TEMPLATE = """\
# Compatibility

Services in the official SDKs run on Perdure's engine, and services in Perdure's SDK on the official engine. One suite
of tests says so: [tests/conformance](../tests/conformance), written once over the open HTTP interfaces, is run over the
same services in each SDK, on each engine. This page is what came of it; `make compatibility` writes it.

{versions}

## Features

An official SDK on the official engine has nothing of Perdure in it, and shows that the suite asks what it may.

{features}

## What is lacking

These tests fail in what is named, and must: if one passes, the suite fails.

{lacking}

## Ways between SDK and engine

{ways}
"""


def page(results: Sequence[Result]) -> str:
    return TEMPLATE.format(versions=versions(), features=features(results), lacking=lacking(), ways=ways(results))


def versions() -> str:
    """What was tested with what: `tests/conformance/package.json` pins all but ours."""
    return table(["", "version"], [["Perdure, SDK and engine", __version__], *map(list, VERSIONS.items())])


def features(results: Sequence[Result]) -> str:
    """A line for each module of tests, a column for each SDK on each engine."""
    columns = list(dict.fromkeys((result.pair.sdk, result.pair.engine) for result in results))
    outcomes = defaultdict[tuple[str, Sdk, Engine], list[Result]](list)
    for result in results:
        outcomes[result.module, result.pair.sdk, result.pair.engine].append(result)
    return table(
        ["", *(f"{SDKS[sdk]} on {ENGINES[engine]}" for sdk, engine in columns)],
        [
            [feature(module), *(verdict(outcomes[module, sdk, engine]) for sdk, engine in columns)]
            for module in sorted({result.module for result in results})
        ],
    )


def feature(module: str) -> str:
    """A module of tests in words: its name, and the sentence at its top."""
    sentence = (import_module(f"tests.conformance.{module}").__doc__ or "").partition("\n")[0]
    return f"**{module.removeprefix('test_').replace('_', ' ').capitalize()}.** {sentence}"


def verdict(results: Sequence[Result]) -> str:
    if not results:
        return "not asked"
    if failed := sum(result.outcome == "failed" for result in results):
        return f"**fail**, {failed} of {len(results)}"
    lacks = sorted({LACKING.index(result.lack) + 1 for result in results if result.lack})
    return " ".join(["pass", *(f"[{number}](#what-is-lacking)" for number in lacks)])


def lacking() -> str:
    return table(["", "in", ""], [[str(number), lack.who, lack.reason] for number, lack in enumerate(LACKING, 1)])


def ways(results: Sequence[Result]) -> str:
    """A line for each arrangement."""
    outcomes = defaultdict[str, list[Result]](list)
    for result in results:
        outcomes[result.pair.name].append(result)
    return table(
        ["SDK", "engine", "way", "tests"], [[*place(a), count(outcomes[a.name])] for a in ARRANGEMENTS.values()]
    )


def place(pair: Pair) -> list[str]:
    return [SDKS[pair.sdk], ENGINES[pair.engine], ", ".join(WAYS[part] for part in pair.way.split("-"))]


def count(results: Sequence[Result]) -> str:
    outcomes = Counter(result.outcome for result in results)
    return ", ".join(
        f"{outcomes[outcome]} {outcome}" for outcome in ("passed", "failed", "lacking") if outcomes[outcome]
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
