"""Calling services from outside of handlers, through the ingress: an asynchronous client, and a blocking one.

What can be asked is said once, in `client_calls`, `client_results` and `client_completions`; here it is only sent.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import pyqwest

from perdure.errors import UsageError
from perdure.http_threads import let_out_at_exit
from perdure.sdk import client_calls as calls
from perdure.sdk import client_completions as completions
from perdure.sdk import client_results as results
from perdure.sdk.client_requests import FAULTS, Address, Exchange, Pause, address_of, steps

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(
    build: Callable[Concatenate[Address, P], Exchange[T]],
) -> Callable[Concatenate["DurableClient", P], Coroutine[Any, Any, T]]:
    """A method that makes an exchange, for those who await."""

    @wraps(build)
    async def method(client: "DurableClient", *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.exchange(build(client.address, *args, **kwargs))

    return method


def _blocking(
    build: Callable[Concatenate[Address, P], Exchange[T]],
) -> Callable[Concatenate["SyncDurableClient", P], T]:
    """A method that makes an exchange, for those who block."""

    @wraps(build)
    def method(client: "SyncDurableClient", *args: P.args, **kwargs: P.kwargs) -> T:
        return client.exchange(build(client.address, *args, **kwargs))

    return method


class DurableClient:
    """Asks of services and invocations what there is to ask; made by `create_client`.

    A call waits for its result, however long that takes. What can be repeated without harm is, when the connection
    breaks or the ingress is busy: all that has an idempotency key, workflows, and what only asks. The rest is sent
    once. All raise `HttpError`, and `OSError` where the connection breaks for good.
    """

    def __init__(self, http: pyqwest.Client, address: Address) -> None:
        self._http = http
        self.address = address

    def scope(self, scope: str) -> "DurableClient":
        """The same client, within a scope: a part of the identity of what is called, in which limits count."""
        return DurableClient(self._http, self.address.scoped(scope))

    async def exchange(self, exchange: Exchange[T]) -> T:
        """Sends a request, and gives what its answer says."""
        course = steps(exchange, random.random)
        try:
            step = next(course)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = course.send(None)
                    continue
                try:
                    answer = await self._http.execute(step.method, step.url, dict(step.headers), step.body)
                except FAULTS as fault:
                    step = course.throw(fault)
                else:
                    step = course.send(answer)
        except StopIteration as end:
            return end.value

    service_call = _awaited(calls.service_call)
    object_call = _awaited(calls.object_call)
    workflow_call = _awaited(calls.workflow_call)
    generic_call = _awaited(calls.generic_call)
    service_send = _awaited(calls.service_send)
    object_send = _awaited(calls.object_send)
    workflow_send = _awaited(calls.workflow_send)
    generic_send = _awaited(calls.generic_send)
    attach = _awaited(results.attach)
    output = _awaited(results.output)
    workflow_attach = _awaited(results.workflow_attach)
    workflow_output = _awaited(results.workflow_output)
    workflow_lookup = _awaited(results.workflow_lookup)
    idempotent_attach = _awaited(results.idempotent_attach)
    idempotent_output = _awaited(results.idempotent_output)
    idempotent_lookup = _awaited(results.idempotent_lookup)
    resolve_awakeable = _awaited(completions.resolve_awakeable)
    reject_awakeable = _awaited(completions.reject_awakeable)
    resolve_signal = _awaited(completions.resolve_signal)
    reject_signal = _awaited(completions.reject_signal)
    resolve_promise = _awaited(completions.resolve_promise)
    reject_promise = _awaited(completions.reject_promise)
    cancel = _awaited(completions.cancel)
    kill = _awaited(completions.kill)


class SyncDurableClient:
    """`DurableClient` for code without an event loop: the same methods, which block; made by `create_sync_client`."""

    def __init__(self, http: pyqwest.SyncClient, address: Address) -> None:
        self._http = http
        self.address = address

    def scope(self, scope: str) -> "SyncDurableClient":
        """The same client, within a scope: a part of the identity of what is called, in which limits count."""
        return SyncDurableClient(self._http, self.address.scoped(scope))

    def exchange(self, exchange: Exchange[T]) -> T:
        """Sends a request, and gives what its answer says."""
        course = steps(exchange, random.random)
        try:
            step = next(course)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = course.send(None)
                    continue
                try:
                    answer = self._http.execute(step.method, step.url, dict(step.headers), step.body)
                except FAULTS as fault:
                    step = course.throw(fault)
                else:
                    step = course.send(answer)
        except StopIteration as end:
            return end.value

    service_call = _blocking(calls.service_call)
    object_call = _blocking(calls.object_call)
    workflow_call = _blocking(calls.workflow_call)
    generic_call = _blocking(calls.generic_call)
    service_send = _blocking(calls.service_send)
    object_send = _blocking(calls.object_send)
    workflow_send = _blocking(calls.workflow_send)
    generic_send = _blocking(calls.generic_send)
    attach = _blocking(results.attach)
    output = _blocking(results.output)
    workflow_attach = _blocking(results.workflow_attach)
    workflow_output = _blocking(results.workflow_output)
    workflow_lookup = _blocking(results.workflow_lookup)
    idempotent_attach = _blocking(results.idempotent_attach)
    idempotent_output = _blocking(results.idempotent_output)
    idempotent_lookup = _blocking(results.idempotent_lookup)
    resolve_awakeable = _blocking(completions.resolve_awakeable)
    reject_awakeable = _blocking(completions.reject_awakeable)
    resolve_signal = _blocking(completions.resolve_signal)
    reject_signal = _blocking(completions.reject_signal)
    resolve_promise = _blocking(completions.resolve_promise)
    reject_promise = _blocking(completions.reject_promise)
    cancel = _blocking(completions.cancel)
    kill = _blocking(completions.kill)


def create_client(
    ingress_url: str = "http://localhost:8080",
    headers: Mapping[str, str] | None = None,
    *,
    admin_url: str | None = None,
) -> AbstractAsyncContextManager[DurableClient]:
    """A client of an ingress; `headers` go with each request. `admin_url` is for `cancel` and `kill`.

    async with perdure.create_client("http://localhost:8080") as client:
        answer = await client.service_call(router_answer, "I was charged twice")

    Raises:
        UsageError: an address is none.
    """
    return _ClientBlock(_opened(address_of(ingress_url, admin_url, headers)))


def create_sync_client(
    ingress_url: str = "http://localhost:8080",
    headers: Mapping[str, str] | None = None,
    *,
    admin_url: str | None = None,
) -> AbstractContextManager[SyncDurableClient]:
    """`create_client` for code without an event loop. It may be shared by threads.

    with perdure.create_sync_client("http://localhost:8080") as client:
        answer = client.service_call(router_answer, "I was charged twice")

    Raises:
        UsageError: an address is none.
    """
    return _SyncClientBlock(_opened_sync(address_of(ingress_url, admin_url, headers)))


@asynccontextmanager
async def _opened(address: Address) -> AsyncGenerator[DurableClient]:
    let_out_at_exit()
    async with pyqwest.HTTPTransport(tls_include_system_certs=True) as transport:
        yield DurableClient(pyqwest.Client(transport), address)


@contextmanager
def _opened_sync(address: Address) -> Generator[SyncDurableClient]:
    with pyqwest.SyncHTTPTransport(tls_include_system_certs=True) as transport:
        yield SyncDurableClient(pyqwest.SyncClient(transport), address)


class _ClientBlock(AbstractAsyncContextManager[DurableClient]):
    """What `create_client` gives: to be entered, and until then no client, which it says."""

    def __init__(self, block: AbstractAsyncContextManager[DurableClient]) -> None:
        self._block = block

    async def __aenter__(self) -> DurableClient:
        return await self._block.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._block.__aexit__(kind, error, traceback)

    def __getattr__(self, name: str) -> Any:
        raise _not_entered(DurableClient, "async with perdure.create_client", name)


class _SyncClientBlock(AbstractContextManager[SyncDurableClient]):
    """What `create_sync_client` gives."""

    def __init__(self, block: AbstractContextManager[SyncDurableClient]) -> None:
        self._block = block

    def __enter__(self) -> SyncDurableClient:
        return self._block.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return self._block.__exit__(kind, error, traceback)

    def __getattr__(self, name: str) -> Any:
        raise _not_entered(SyncDurableClient, "with perdure.create_sync_client", name)


def _not_entered(client: type, block: str, name: str) -> Exception:
    if name.startswith("_") or not hasattr(client, name):
        return AttributeError(name)
    return UsageError(
        f"the client is there only inside of its block: `{block}(...) as client:`, and in it client.{name}"
    )
