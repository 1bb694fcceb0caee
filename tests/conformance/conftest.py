"""The arrangements: which SDK runs the services, on which engine, over which transport.

The last one has nothing of ours in it: it shows that the suite asks for what the official pair does.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.processes import (
    ANNOUNCING,
    SERVICES,
    EngineAddress,
    official_endpoint,
    our_asgi_endpoint,
    our_endpoint,
    our_engine,
    reference_engine,
    register,
)

Start = Callable[[ExitStack, Path], EngineAddress]


def ours_embedded(stack: ExitStack, folder: Path) -> EngineAddress:
    return stack.enter_context(our_engine(folder, SERVICES))


def of_version(endpoint: Callable[..., Any], version: int) -> Callable[[Path], Any]:
    """The endpoint, knowing no newer version of the protocol."""
    return partial(endpoint, module=ANNOUNCING, env={"CONFORMANCE_VERSION": str(version)})


def on_our_engine(endpoint: Callable[[Path], Any], *, http_11: bool = False) -> Start:
    def start(stack: ExitStack, folder: Path) -> EngineAddress:
        engine = stack.enter_context(our_engine(folder))
        register(engine, stack.enter_context(endpoint(folder)), http_11=http_11)
        return engine

    return start


def on_the_reference(endpoint: Callable[[Path], Any], *, version: int, http_11: bool = False) -> Start:
    def start(stack: ExitStack, folder: Path) -> EngineAddress:
        engine = stack.enter_context(reference_engine(folder, version=version))
        register(engine, stack.enter_context(endpoint(folder)), http_11=http_11)
        return engine

    return start


ARRANGEMENTS: dict[str, Start] = {
    "ours-embedded": ours_embedded,
    "ours-remote-h2": on_our_engine(our_endpoint),
    "ours-remote-h1": on_our_engine(our_endpoint, http_11=True),
    "official-on-our-engine-h2": on_our_engine(official_endpoint),
    "official-on-our-engine-h1": on_our_engine(official_endpoint, http_11=True),
    "official-on-our-engine-v6": on_our_engine(of_version(official_endpoint, 6)),
    "official-on-our-engine-v5": on_our_engine(of_version(official_endpoint, 5)),
    "official-on-our-engine-v5-h1": on_our_engine(of_version(official_endpoint, 5), http_11=True),
    "ours-on-reference-v5": on_the_reference(of_version(our_asgi_endpoint, 5), version=6),
    "ours-on-reference-v6": on_the_reference(our_endpoint, version=6),
    "ours-on-reference-v7": on_the_reference(our_endpoint, version=7),
    "ours-on-reference-v7-h1": on_the_reference(our_endpoint, version=7, http_11=True),
    "official-on-reference-v7": on_the_reference(official_endpoint, version=7),
}


class Ingress:
    """What a client of either engine does, over the open HTTP interface."""

    def __init__(self, engine: EngineAddress) -> None:
        self._admin_url = engine.admin_url
        self.http = httpx.Client(base_url=engine.ingress_url, timeout=30.0, trust_env=False)

    def post(self, path: str, argument: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, headers=named, **({} if argument is None else {"json": argument}))

    def call(self, path: str, argument: Any = None, **headers: str) -> Any:
        """The result of a call that must succeed."""
        answer = self.post(path, argument, **headers)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def send(self, path: str, argument: Any = None, **headers: str) -> str:
        """The invocation id of a one-way call."""
        answer = self.post(path, argument, **headers)
        assert answer.status_code == 202, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()["invocationId"]

    def attach(self, invocation_id: str) -> httpx.Response:
        return self.http.get(f"/restate/invocation/{invocation_id}/attach")

    def cancel(self, invocation_id: str) -> None:
        answer = httpx.patch(f"{self._admin_url}/invocations/{invocation_id}/cancel", timeout=10.0, trust_env=False)
        assert answer.status_code == 202, answer.text


@pytest.fixture(scope="session", params=ARRANGEMENTS)
def ingress(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        client = Ingress(ARRANGEMENTS[request.param](stack, folder))
        with client.http:
            yield client


@pytest.fixture
def name() -> str:
    """A key that no other test uses."""
    return uuid.uuid4().hex
