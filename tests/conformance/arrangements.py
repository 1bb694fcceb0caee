"""The arrangements: whose SDK runs the services, on whose engine, and what lies between the two.

Those of an official SDK on the reference engine have nothing of ours: they show that the suite asks for what the
official pair does.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec import Struct

from tests.conformance.processes import (
    ANNOUNCING,
    SERVICES,
    EngineAddress,
    official_endpoint,
    official_endpoint_on_granian,
    our_asgi_endpoint,
    our_endpoint,
    our_engine,
    reference_engine,
    register,
    typescript_endpoint,
)

Sdk = Literal["ours", "python", "typescript"]
Engine = Literal["our-engine", "reference"]
Endpoint = Callable[[Path], AbstractContextManager[str]]


class Pair(Struct, frozen=True):
    """An SDK, an engine, and the way between them."""

    sdk: Sdk
    engine: Engine
    way: str

    @property
    def name(self) -> str:
        return f"{self.sdk}-on-{self.engine}-{self.way}"


class Arrangement(Pair, frozen=True):
    """A pair that runs the services: `start` does it, for as long as its stack is open."""

    start: Callable[[ExitStack, Path], EngineAddress]


def embedded(stack: ExitStack, folder: Path) -> EngineAddress:
    return stack.enter_context(our_engine(folder, SERVICES))


def on_our_engine(sdk: Sdk, way: str, endpoint: Endpoint, *, http_11: bool = False) -> Arrangement:
    def start(stack: ExitStack, folder: Path) -> EngineAddress:
        engine = stack.enter_context(our_engine(folder))
        register(engine, stack.enter_context(endpoint(folder)), http_11=http_11)
        return engine

    return Arrangement(sdk, "our-engine", way, start)


def on_the_reference(sdk: Sdk, way: str, endpoint: Endpoint, *, version: int, http_11: bool = False) -> Arrangement:
    def start(stack: ExitStack, folder: Path) -> EngineAddress:
        engine = stack.enter_context(reference_engine(folder, version=version))
        register(engine, stack.enter_context(endpoint(folder)), http_11=http_11)
        return engine

    return Arrangement(sdk, "reference", way, start)


def of_version(endpoint: Callable[..., AbstractContextManager[str]], version: int) -> Endpoint:
    """The endpoint, knowing no newer version of the protocol."""
    return partial(endpoint, module=ANNOUNCING, env={"CONFORMANCE_VERSION": str(version)})


typescript_endpoint_h1 = partial(typescript_endpoint, http_11=True)
typescript_endpoint_v6 = partial(typescript_endpoint, version=6)

ARRANGEMENTS = {
    arrangement.name: arrangement
    for arrangement in (
        Arrangement("ours", "our-engine", "embedded", embedded),
        on_our_engine("ours", "h2", our_endpoint),
        on_our_engine("ours", "h1", our_endpoint, http_11=True),
        on_our_engine("python", "h2", official_endpoint),
        on_our_engine("python", "h1", official_endpoint, http_11=True),
        on_our_engine("python", "granian-h2", official_endpoint_on_granian),
        on_our_engine("python", "granian-h1", official_endpoint_on_granian, http_11=True),
        on_our_engine("python", "v6", of_version(official_endpoint, 6)),
        on_our_engine("python", "v5", of_version(official_endpoint, 5)),
        on_our_engine("python", "v5-h1", of_version(official_endpoint, 5), http_11=True),
        on_our_engine("typescript", "h2", typescript_endpoint),
        on_our_engine("typescript", "h1", typescript_endpoint_h1, http_11=True),
        on_our_engine("typescript", "v6", typescript_endpoint_v6),
        on_the_reference("ours", "v5", of_version(our_asgi_endpoint, 5), version=6),
        on_the_reference("ours", "v6", our_endpoint, version=6),
        on_the_reference("ours", "v7", our_endpoint, version=7),
        on_the_reference("ours", "v7-h1", our_endpoint, version=7, http_11=True),
        on_the_reference("python", "v7", official_endpoint, version=7),
        on_the_reference("typescript", "v6", typescript_endpoint, version=6),
        on_the_reference("typescript", "v7", typescript_endpoint, version=7),
    )
}


def arrangement_of(test: pytest.Item) -> Arrangement | None:
    """Where a test runs; None if it makes an arrangement of its own."""
    return ARRANGEMENTS.get(parameters_of(test).get("ingress", ""))


def parameters_of(test: pytest.Item) -> dict[str, Any]:
    callspec = getattr(test, "callspec", None)
    return callspec.params if callspec else {}
