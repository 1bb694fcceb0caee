"""Durable chat models: what fails and how, what is cancelled, what cannot be durable, what 100 calls cost."""

import asyncio
from datetime import timedelta
from functools import cached_property
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.chat_models import SimpleChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import perdure
from perdure.errors import NotInHandler, TerminalError, UsageError
from perdure.ext.langchain import durable_model
from perdure.testing import Harness
from perdure.testing.model import Fate, Fault, Reply, ScriptedModel


def asking(model: Any) -> tuple[perdure.Service, Any]:
    """A service whose handler asks the model."""
    service = perdure.Service("Asks")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        return str((await model.ainvoke(question)).text)

    return service, ask


def bytes_of(h: Harness, handler: Any) -> int:
    [seen] = h.invocations(handler)
    return sum(each.message.ByteSize() for each in h.envelopes(seen.id))


async def test_a_model_in_a_chain_with_structured_output_is_durable(chat: ChatOpenAI, model: ScriptedModel) -> None:
    class City(BaseModel):
        """A city."""

        name: str

    model.script = lambda request: (
        Reply.calling(("City", {"name": "Rome"})) if request.tools else Reply.of({"name": "Rome"})
    )
    durable = durable_model(chat)
    prompt = ChatPromptTemplate.from_messages([("system", "Find the city."), ("user", "{text}")])
    chains = [
        prompt | durable.with_structured_output(City, method=each) for each in ("json_schema", "function_calling")
    ]
    service = perdure.Service("Finds")

    @service.handler()
    async def find(ctx: perdure.Context, text: str) -> list[str]:
        return [(await chain.ainvoke({"text": text})).name for chain in chains]

    async with Harness(service) as h:
        assert await h.call(find, "all roads") == ["Rome", "Rome"]
        await h.crash_at_every_step(find, "all roads", model=model)


async def test_a_model_by_its_name_is_durable(model: ScriptedModel) -> None:
    model.script = lambda request: Reply("hello")
    service, ask = asking(durable_model("openai:gpt-4o-mini"))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "hello"


async def test_the_model_given_stays_as_it_was(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply("hello")
    durable = durable_model(chat)
    assert isinstance(durable, ChatOpenAI)
    assert durable_model(durable) is durable
    assert (await chat.ainvoke("go")).text == "hello"  # outside of any handler


async def test_a_cache_for_all_models_does_not_hide_what_is_recorded(chat: ChatOpenAI, model: ScriptedModel) -> None:
    """What a cache answers is not asked, so that a replay would miss the entry that the first attempt made."""
    model.script = lambda request: Reply("hello")
    durable = durable_model(chat)
    service = perdure.Service("Cached")

    @service.handler()
    async def ask(ctx: perdure.Context, question: str) -> str:
        said = (await durable.ainvoke(question)).text
        await ctx.sleep(timedelta(seconds=1))
        return str(said)

    set_llm_cache(InMemoryCache())
    try:
        async with Harness(service, always_replay=True) as h:
            assert await h.call(ask, "go") == "hello"
    finally:
        set_llm_cache(None)


async def test_a_rate_limiter_is_waited_for_once(chat: ChatOpenAI, model: ScriptedModel) -> None:
    class Limiter(BaseRateLimiter):
        asked = 0

        def acquire(self, *, blocking: bool = True) -> bool:
            raise AssertionError("the model is asked without blocking")

        async def aacquire(self, *, blocking: bool = True) -> bool:
            self.asked += 1
            await asyncio.sleep(0.001)
            return True

    limiter = Limiter()
    model.script = lambda request: Reply("hello")
    service, ask = asking(durable_model(chat.model_copy(update={"rate_limiter": limiter})))
    async with Harness(service, always_replay=True) as h:
        assert await h.call(ask, "go") == "hello"
    assert limiter.asked == 1


async def test_a_full_provider_is_asked_again_when_it_says(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply("hello")
    model.faults.append(Fault(status=429, retry_after=30))
    service, ask = asking(durable_model(chat))
    async with Harness(service) as h:
        began = h.now
        assert await h.call(ask, "go") == "hello"
        assert timedelta(seconds=30) <= h.now - began < timedelta(seconds=31)


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(cut=True), Fault(hang_up=True)], ids=["500", "cut", "gone"])
async def test_a_provider_that_stumbles_is_asked_again(fault: Fault, chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply("hello")
    model.faults.append(fault)
    service, ask = asking(durable_model(chat))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "hello"


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=400, message="no such parameter"), 400),
        (Fault(status=401, message="no such key"), 401),
        (Fault(status=404, message="no such model"), 404),
        (Fault(filtered=True, message="not nice"), 400),
    ],
    ids=["400", "401", "404", "filter"],
)
async def test_a_request_that_can_never_succeed_ends_the_handler(
    fault: Fault, status: int, chat: ChatOpenAI, model: ScriptedModel
) -> None:
    model.faults.append(fault)
    service, ask = asking(durable_model(chat))
    before = len(model.log.calls)
    async with Harness(service) as h:
        with pytest.raises(TerminalError, match=fault.message) as raised:
            await h.call(ask, "go")
    assert raised.value.status_code == status
    assert len(model.log.calls) == before + 1


async def test_options_say_how_often_it_is_tried(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.faults.extend([Fault(status=500, message="down")] * 3)
    service, ask = asking(durable_model(chat, perdure.RunOptions(max_attempts=2)))
    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="down"):
            await h.call(ask, "go")
    assert len(model.faults) == 1


@pytest.mark.parametrize("responses_api", [False, True])
async def test_all_tries_of_a_request_have_one_key_and_each_request_another(
    responses_api: bool, model: ScriptedModel
) -> None:
    model.script = lambda request: Reply("hello")
    model.faults.append(Fault(status=500))
    chat = ChatOpenAI(model="gpt-4o-mini", base_url=model.base_url, api_key="none", use_responses_api=responses_api)
    service, ask = asking(durable_model(chat))
    before = len(model.log.calls)
    async with Harness(service) as h:
        await h.call(ask, "go")
        await h.call(ask, "go")
    first, second, third = [call.key for call in model.log.calls[before:]]
    assert first is not None
    assert first == second != third


@pytest.mark.parametrize("where", ["extra_headers", "model_kwargs", "default_headers"])
async def test_a_key_of_the_users_own_stays_and_headers_are_in_no_journal(where: str, model: ScriptedModel) -> None:
    model.script = lambda request: Reply("hello")
    headers = {"idempotency-key": "mine"}
    given: dict[str, Any] = {
        "extra_headers": {},
        "model_kwargs": {"model_kwargs": {"extra_headers": headers}},
        "default_headers": {"default_headers": headers},
    }[where]
    durable = durable_model(ChatOpenAI(model="gpt-4o-mini", base_url=model.base_url, api_key="none", **given))
    service, ask = asking(durable.bind(extra_headers=headers) if where == "extra_headers" else durable)
    async with Harness(service) as h:
        await h.call(ask, "go")
        assert model.log.calls[-1].key == "mine"
        [seen] = h.invocations(ask)
        assert "mine" not in str(h.envelopes(seen.id))


@pytest.mark.parametrize(("way", "requests"), [({}, 2), ({"max_retries": 1}, 4)], ids=["unsaid", "said"])
@pytest.mark.parametrize("responses_api", [False, True])
async def test_a_client_retries_by_itself_only_where_the_user_says_so(
    responses_api: bool, way: dict[str, int], requests: int, model: ScriptedModel
) -> None:
    model.faults.extend([Fault(status=500, message="down")] * 4)
    chat = ChatOpenAI(
        model="gpt-4o-mini", base_url=model.base_url, api_key="none", use_responses_api=responses_api, **way
    )
    service, ask = asking(durable_model(chat, perdure.RunOptions(max_attempts=2)))
    before = len(model.log.calls)
    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="down"):
            await h.call(ask, "go")
    assert len(model.log.calls) == before + requests
    model.faults.clear()


async def test_a_client_that_is_made_when_it_is_first_asked_does_not_retry_either() -> None:
    """As that of langchain-anthropic. The model that was given, and has asked, retries as before."""

    class Client:
        def __init__(self, retries: int) -> None:
            self.retries = retries

    class Lazy(SimpleChatModel):
        max_retries: int = 2

        @cached_property
        def client(self) -> Client:
            return Client(self.max_retries)

        @property
        def _llm_type(self) -> str:
            return "lazy"

        def _call(self, *_: Any, **__: Any) -> str:
            return f"{self.client.retries} retries"

    lazy = Lazy()
    assert (await lazy.ainvoke("go")).text == "2 retries"
    service, ask = asking(durable_model(lazy))
    async with Harness(service) as h:
        assert await h.call(ask, "go") == "0 retries"
    assert (await lazy.ainvoke("go")).text == "2 retries"


async def test_options_say_how_long_it_may_take(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.faults.append(Fault(stall_s=3600))
    service, ask = asking(durable_model(chat, perdure.RunOptions(timeout=timedelta(seconds=5))))
    async with Harness(service) as h:
        with pytest.raises(TerminalError, match="ask gpt-4o-mini"):
            await h.call(ask, "go")


async def test_a_cancel_stops_the_request_that_is_under_way(
    chat: ChatOpenAI, model: ScriptedModel, wait_until: Any
) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def never(request: Any) -> Reply:
        loop.call_soon_threadsafe(asked.set)
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    model.script = never
    service, ask = asking(durable_model(chat))

    @service.handler()
    async def stop(ctx: perdure.Context, invocation_id: str) -> None:
        ctx.cancel_invocation(invocation_id)

    async with Harness(service) as h:
        sent = await h.send(ask, "go")
        await asked.wait()
        await h.call(stop, sent.invocation_id)
        with pytest.raises(TerminalError, match="cancelled"):
            await h.attach(ask, sent)
        await wait_until(lambda: model.log.calls[-1].fate is Fate.ABANDONED, "the request was dropped")


async def test_a_hundred_calls_cost_what_is_said_in_them(chat: ChatOpenAI, model: ScriptedModel) -> None:
    model.script = lambda request: Reply(f"answer {len(request.messages)}: {'a' * 500}")
    durable = durable_model(chat)
    service = perdure.Service("Talks")

    @service.handler()
    async def talk(ctx: perdure.Context, turns: int) -> int:
        said: list[Any] = [("system", "Be long.")]
        for turn in range(turns):
            said.append(("user", f"question {turn}: {'q' * 500}"))
            said.append(await durable.ainvoke(said))
        return len(said)

    async with Harness(service) as h:
        assert await h.call(talk, 50) == 101
        fifty = bytes_of(h, talk)
    async with Harness(service) as h:
        assert await h.call(talk, 100) == 201
        hundred = bytes_of(h, talk)
    assert hundred < 2.05 * fifty
    assert hundred < 100 * 4000


@pytest.mark.parametrize("way", ["stream", "astream"])
async def test_tokens_cannot_be_streamed(way: str, chat: ChatOpenAI) -> None:
    with pytest.raises(UsageError, match="Use ainvoke"):
        getattr(durable_model(chat), way)("go")


async def test_a_blocking_call_says_so(chat: ChatOpenAI) -> None:
    with pytest.raises(UsageError, match="await ainvoke"):
        durable_model(chat).invoke("go")


async def test_outside_of_a_handler_it_says_so(chat: ChatOpenAI) -> None:
    with pytest.raises(NotInHandler, match="outside of a handler"):
        await durable_model(chat).ainvoke("go")


async def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="takes a chat model"):
        durable_model(42)  # type: ignore[type-var]
