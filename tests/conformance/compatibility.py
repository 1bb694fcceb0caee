"""The page on compatibility, out of a run of this suite: a plugin of pytest's, which `make compatibility` loads.

The page is written if the run had all tests, and each came to what it must.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
from msgspec import convert, to_builtins

from perdure import __version__
from tests.conformance.arrangements import ARRANGEMENTS, Engine, Pair, Sdk
from tests.conformance.collecting import Result, collected, result_of
from tests.conformance.lacking import LACKING
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


# ---- the run ----


class Recorder:
    """Takes down what tests come to; writes the page at the end. Under xdist the tests are other processes'."""

    def __init__(self) -> None:
        self._results: list[Result] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        if result := result_of(item):
            item.user_properties.append(("result", to_builtins(result)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        result = dict(report.user_properties).get("result")
        if result and report.when == "call" and (report.passed or hasattr(report, "wasxfail")):
            self._results.append(convert(result, Result))

    @pytest.hookimpl(tryfirst=True)  # so that the summary comes after
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if hasattr(session.config, "workerinput"):
            return
        if whole := exitstatus == pytest.ExitCode.OK and Counter(self._results) == Counter(collected()):
            PAGE.write_text(page(self._results))
        else:
            session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED
        said = f"{PAGE.name}: {'written' if whole else 'left as it was, for this was no whole run that passed'}"
        session.config.get_terminal_writer().line(f"\n{said}")


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
    columns = list(dict.fromkeys((arrangement.sdk, arrangement.engine) for arrangement in ARRANGEMENTS.values()))
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
    outcomes = Counter("lacking" if result.lack else "passed" for result in results)
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items(), reverse=True))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
