"""Commands for tests to start: in a folder of their own, on free ports, killed at the end."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import PERDURE, TIMEOUT_S, Command, Run, Start


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command in the test's folder; it is killed when the test ends."""
    commands: list[Command] = []

    def start(*arguments: str) -> Command:
        commands.append(Command(tmp_path, *arguments))
        return commands[-1]

    yield start
    for command in commands:
        command.close()


@pytest.fixture
def up(start: Start) -> Callable[..., Command]:
    """Starts `perdure up` on free ports, and waits until it is ready."""

    def up(*arguments: str) -> Command:
        return start("up", *arguments, "--ingress-port", "0", "--admin-port", "0").ready()

    return up


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command to its end, against the engine that is given."""

    def run(*arguments: str, engine: Command | None = None) -> subprocess.CompletedProcess[str]:
        environment = dict(os.environ)
        if engine is not None:
            environment["PERDURE_INGRESS_URL"] = engine.banner["ingress"]
            environment["PERDURE_ADMIN_URL"] = engine.banner["admin"]
        return subprocess.run(
            [PERDURE, *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    return run
