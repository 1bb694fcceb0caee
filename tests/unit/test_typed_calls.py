"""What is said with calls of an embedded engine is text that can be written; what is not, it refuses at once."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import perdure
from perdure.errors import UsageError

HALF = "a\ud800"

cart = perdure.VirtualObject("Cart")
signup = perdure.Workflow("Signup")
greeter = perdure.Service("Greeter")
AWAKEABLE = "sign_1" + "a" * 40


@cart.handler()
async def add(ctx: perdure.ObjectContext, count: int) -> int:
    return count


@signup.main()
async def run(ctx: perdure.WorkflowContext) -> None: ...


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"


SAID: dict[str, Callable[[perdure.Engine, str], Awaitable[Any]]] = {
    "key": lambda engine, id: engine.call(add, 1, key=HALF),
    "key that is a number": lambda engine, id: engine.call(add, 1, key=7),  # pyright: ignore[reportArgumentType]
    "idempotency key": lambda engine, id: engine.send(greet, "ada", idempotency_key=HALF),
    "header": lambda engine, id: engine.send(greet, "ada", headers={"tenant": HALF}),
    "header's name": lambda engine, id: engine.send(greet, "ada", headers={HALF: "a"}),
    "header that is a number": lambda engine, id: engine.send(greet, "ada", headers={"tenant": 7}),  # pyright: ignore[reportArgumentType]
    "invocation": lambda engine, id: engine.attach(greet, HALF),
    "awakeable": lambda engine, id: engine.resolve_awakeable(HALF),
    "signal": lambda engine, id: engine.resolve_signal(id, HALF),
    "reason of a signal": lambda engine, id: engine.reject_signal(id, "stop", HALF),
    "promise": lambda engine, id: engine.resolve_promise("Signup", "ada", HALF),
    "workflow's key": lambda engine, id: engine.resolve_promise("Signup", HALF, "email"),
    "reason of a promise": lambda engine, id: engine.reject_promise("Signup", "ada", "email", HALF),
}


@pytest.mark.parametrize("say", SAID.values(), ids=SAID)
async def test_text_that_cannot_be_written_is_refused(say: Callable[[perdure.Engine, str], Awaitable[Any]]) -> None:
    async with perdure.Engine([cart, signup, greeter], data_dir=None) as engine:
        id = (await engine.send(greet, "ada", idempotency_key="first")).invocation_id
        with pytest.raises(UsageError):
            await say(engine, id)
        assert await engine.call(greet, "ada", idempotency_key="first") == "hello ada"
