"""The suite's client, for each arrangement in turn."""

import uuid
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.conformance.arrangements import ARRANGEMENTS
from tests.conformance.lacking import Lacking, lack_of
from tests.conformance.processes import EngineAddress


class Ingress:
    """What a client of either engine does, over the open HTTP interface."""

    def __init__(self, engine: EngineAddress) -> None:
        self.http = httpx.Client(base_url=engine.ingress_url, timeout=60.0, trust_env=False)
        self._admin = httpx.Client(base_url=engine.admin_url, timeout=60.0, trust_env=False)

    def __enter__(self) -> "Ingress":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._admin.close()

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
        self._intervene(invocation_id, "cancel")

    def resume(self, invocation_id: str) -> None:
        self._intervene(invocation_id, "resume")

    def _intervene(self, invocation_id: str, act: str) -> None:
        answer = self._admin.patch(f"/invocations/{invocation_id}/{act}")
        assert answer.is_success, answer.text

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of the engine's own tables."""
        answer = self._admin.post("/query", json={"query": sql}, headers={"accept": "application/json"})
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]

    def status(self, invocation_id: str) -> str | None:
        rows = self.query(f"select status from sys_invocation where id = '{invocation_id}'")
        return rows[0]["status"] if rows else None


class ByArrangement(LoadScopeScheduling):
    """Gives each worker whole arrangements, so that none is started twice."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        parameters = test.partition("[")[2]
        return max((name for name in ARRANGEMENTS if parameters.startswith(name)), key=len, default=file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByArrangement:
    return ByArrangement(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    if lack := lack_of(item):
        item.add_marker(pytest.mark.xfail(reason=lack.reason, raises=Lacking, strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    try:
        return (yield)
    except AssertionError as failure:
        lack = lack_of(pyfuncitem)
        if lack and lack.explains(failure):
            raise Lacking(lack.reason) from failure
        raise


@pytest.fixture(scope="session", params=ARRANGEMENTS)
def ingress(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack, Ingress(ARRANGEMENTS[request.param].start(stack, folder)) as client:
        yield client


@pytest.fixture
def name() -> str:
    """A key that no other test uses."""
    return uuid.uuid4().hex
