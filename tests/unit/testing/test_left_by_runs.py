"""What a run leaves behind, such as an open connection, does not keep virtual time from jumping."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest

import perdure
from perdure.testing import Harness

service = perdure.Service("Service")


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """One end of a connection whose other end says nothing."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours


async def listens_for_ever(to: socket.socket) -> None:
    await asyncio.get_running_loop().sock_recv(to, 1)


async def test_time_jumps_past_the_connection_that_a_run_has_opened(silent: socket.socket) -> None:
    left: list[asyncio.Task[None]] = []

    @service.handler()
    async def connect(ctx: perdure.Context) -> str:
        async def open_it() -> None:
            left.append(asyncio.create_task(listens_for_ever(silent)))

        await ctx.run_typed("open a connection", open_it)
        await ctx.sleep(timedelta(days=1))
        return "done"

    async with Harness([service]) as h:
        assert await asyncio.wait_for(h.call(connect), 3 * 86_400) == "done"
        await h.settle()
        left[0].cancel()
