"""`perdure.Engine` outside of its block: each question is refused with a sentence."""

from collections.abc import Awaitable, Callable

import pytest

import perdure
from perdure.errors import EngineStopping, UsageError

greeter = perdure.Service("Greeter")
ID = "inv_1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

QUESTIONS: dict[str, Callable[[perdure.Engine], Awaitable[object]]] = {
    "call": lambda engine: engine.call(greet, "ada"),
    "send": lambda engine: engine.send(greet, "ada"),
    "attach": lambda engine: engine.attach(greet, ID),
    "cancel": lambda engine: engine.cancel(ID),
    "resolve_promise": lambda engine: engine.resolve_promise("Signup", "ada", "email"),
    "wait_failed": lambda engine: engine.wait_failed(),
}


@greeter.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return f"hello {name}"


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_an_engine_that_was_not_entered_says_so(question: Callable[[perdure.Engine], Awaitable[object]]) -> None:
    with pytest.raises(EngineStopping, match="not entered yet"):
        await question(perdure.Engine([greeter], data_dir=None))


async def test_an_engine_that_was_left_says_so() -> None:
    async with perdure.Engine([greeter], data_dir=None) as engine:
        assert await engine.call(greet, "ada") == "hello ada"
    with pytest.raises(EngineStopping, match="was left"):
        await engine.call(greet, "ada")


async def test_an_engine_is_entered_once() -> None:
    engine = perdure.Engine([greeter], data_dir=None)
    async with engine:
        with pytest.raises(UsageError, match="make another one"):
            await engine.__aenter__()
        assert await engine.call(greet, "ada") == "hello ada"
    with pytest.raises(UsageError, match="make another one"):
        await engine.__aenter__()
