"""Connections that go away in the middle lose nothing: not what runs, not what waits."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.processes import official_endpoint, our_engine, register


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Ingress]:
    """The official SDK behind a server that ends each connection, GOAWAY first, once it has carried 50 requests."""
    with our_engine(tmp_path) as engine, official_endpoint(tmp_path, keep_alive_requests_max=50) as url:
        register(engine, url)
        client = Ingress(engine)
        with client.http:
            yield client


def test_a_goaway_loses_neither_the_streams_on_its_connection_nor_those_that_come_after(impatient: Ingress) -> None:
    long = [impatient.send("Plain/nap/send", 1500) for _ in range(5)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: impatient.call("Plain/echo", str(n)), range(400)))
    assert answers == [str(n) for n in range(400)]
    assert [impatient.attach(invocation_id).json() for invocation_id in long] == ["slept 1500"] * 5
