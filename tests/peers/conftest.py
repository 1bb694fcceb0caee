"""The engines that other people's clients are pointed at: ours, and the official one.

The second shows that a test asks for what the client's own server does.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.processes import (
    EngineAddress,
    official_endpoint,
    our_engine,
    reference_engine,
    register,
)
from tests.peers.cli import Cli

ENGINES: dict[str, Callable[[Path], AbstractContextManager[EngineAddress]]] = {
    "perdure": our_engine,
    "reference": reference_engine,
}


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The conformance services on the official SDK; gives their address."""
    with official_endpoint(tmp_path_factory.mktemp("endpoint")) as url:
        yield url


@pytest.fixture(scope="session", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineAddress]:
    with ENGINES[request.param](tmp_path_factory.mktemp(request.param)) as address:
        register(address, endpoint)
        yield address


@pytest.fixture(scope="session")
def ours(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineAddress]:
    """Our engine alone, for what the official one has not, or only behind flags."""
    with our_engine(tmp_path_factory.mktemp("ours")) as address:
        register(address, endpoint)
        yield address


@pytest.fixture(scope="session")
def ingress(engine: EngineAddress) -> Iterator[Ingress]:
    with Ingress(engine) as client:
        yield client


@pytest.fixture
def cli(engine: EngineAddress, tmp_path: Path) -> Cli:
    return Cli(engine, tmp_path)


@pytest.fixture
def name() -> str:
    """A key that no other test uses."""
    return uuid4().hex
