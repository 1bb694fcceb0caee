"""Our services on a cluster of the official engine: a node is killed under load, and nothing is lost, nothing twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.diary import Diary
from tests.cluster.load import Load
from tests.cluster.nodes import Node, cluster
from tests.cluster.services import STEPS
from tests.conformance.conftest import Ingress
from tests.conformance.processes import our_endpoint, register
from tests.conformance.waiting import eventually

BATCH = 60
MEMORY_MIB_MAX = 500  # a node has some 100


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


@pytest.fixture
def nodes(tmp_path: Path, diary: Path) -> Iterator[list[Node]]:
    """A cluster that knows our services: they were registered at one of its nodes."""
    env = {"CLUSTER_DIARY": str(diary)}
    with cluster(tmp_path) as nodes, our_endpoint(tmp_path, "tests.cluster.services:app", env) as url:
        register(nodes[0].address, url)
        for node in nodes:  # who learn it from each other
            eventually(lambda node=node: knows(node, "Work"), f"{node.name} knows the services")
        yield nodes


@pytest.mark.timeout(900)
async def test_a_node_is_killed_under_load_and_nothing_is_lost_and_nothing_done_twice(
    nodes: list[Node], diary: Path
) -> None:
    load = Load([node.address.ingress_url for node in nodes])
    async with asyncio.TaskGroup() as group:
        running = group.create_task(load.run())
        await load.answered(BATCH)
        victim = max(nodes, key=Node.leads)
        assert victim.leads() > 0
        await asyncio.to_thread(victim.kill)
        await load.answered(BATCH)
        await asyncio.to_thread(victim.start)
        await load.answered(BATCH)
        load.stop()
        await running
        assert max(node.memory_mib() for node in nodes) < MEMORY_MIB_MAX

    noted = Diary(diary)
    assert noted.attempts.keys() == load.answers.keys()
    assert noted.attempts.total() > len(load.answers)  # so the kill was felt
    assert not list(noted.contradictions())
    assert noted.tokens() == {job: answer.tokens for job, answer in load.answers.items()}
    assert noted.runs.keys() == {(job, step) for job in load.answers for step in range(STEPS)}

    with Ingress(victim.address) as client:
        for counter in {answer.counter for answer in load.answers.values()}:
            theirs = {answer.number: job for job, answer in load.answers.items() if answer.counter == counter}
            total, jobs = client.call(f"/Tally/{counter}/counted")
            assert total == len(jobs) == len([a for a in load.answers.values() if a.counter == counter])
            assert dict(enumerate(jobs, 1)) == theirs  # each was counted once, and told its own number
    eventually(lambda: all_ended(victim), "everything has ended")


def all_ended(node: Node) -> bool | None:
    """Also None while the node, which is just back, has no data of some partition yet: it answers 500 then."""
    body = {"query": "select id from sys_invocation where status <> 'completed' limit 1"}
    headers = {"accept": "application/json"}
    answer = httpx.post(f"{node.address.admin_url}/query", json=body, headers=headers, timeout=10.0, trust_env=False)
    return True if answer.status_code == 200 and not answer.json()["rows"] else None


def knows(node: Node, service: str) -> bool | None:
    answer = httpx.get(f"{node.address.admin_url}/services/{service}", timeout=10.0, trust_env=False)
    return True if answer.status_code == 200 else None
