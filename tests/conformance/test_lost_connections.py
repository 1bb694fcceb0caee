"""Connections that go away in the middle lose nothing: not what runs, not what waits."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.conftest import Ingress
from tests.conformance.processes import official_endpoint, our_engine, register


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Ingress]:
    """The official SDK behind hypercorn with its default limit: it breaks a connection off at its 1,001st stream."""
    with our_engine(tmp_path) as engine, official_endpoint(tmp_path, keep_alive_requests_max=1000) as url:
        register(engine, url)
        with Ingress(engine) as client:
            yield client


def test_more_calls_than_a_connection_may_carry_lose_neither_each_other_nor_what_is_long(impatient: Ingress) -> None:
    long = [impatient.send("Plain/nap/send", 4000) for _ in range(5)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: impatient.call("Plain/echo", str(n)), range(1500)))
    assert answers == [str(n) for n in range(1500)]
    assert [impatient.attach(invocation_id).json() for invocation_id in long] == ["slept 4000"] * 5
