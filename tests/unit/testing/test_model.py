"""The scripted model: faults as each provider has them, aimed at calls, and a log that tells how calls ended."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import anthropic
import openai
import pytest

from perdure.testing.call_log import CallLog, Fate
from perdure.testing.model import Fault, Reply, ScriptedModel, in_turn, smollm2

HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=model.base_url, api_key="none", max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, question: str = "hello") -> str:
    return client.responses.create(model="any", input=question).output_text


def fates(log: CallLog) -> list[Fate]:
    return [call.fate for call in log.calls]


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(status=400), openai.BadRequestError, "a planned fault"),
        (Fault(status=401), openai.AuthenticationError, "Incorrect API key provided: a planned fault"),
        (Fault(status=404, message="no such model"), openai.NotFoundError, "no such model"),
        (Fault(status=429), openai.RateLimitError, "a planned fault"),
        (Fault(status=500), openai.InternalServerError, "a planned fault"),
        (Fault(filtered=True), openai.BadRequestError, "violating our usage policy"),
    ],
)
def test_openai_refuses_in_its_own_words(
    model: ScriptedModel, client: openai.OpenAI, fault: Fault, error: type[Exception], words: str
) -> None:
    model.usually = fault
    with pytest.raises(error, match=words):
        ask(client)
    with pytest.raises(error, match=words):
        client.chat.completions.create(model="any", messages=HELLO)
    assert fates(model.log) == [Fate.REFUSED, Fate.REFUSED]


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        (Fault(status=401), anthropic.AuthenticationError, "authentication_error"),
        (Fault(status=429), anthropic.RateLimitError, "rate_limit_error"),
        (Fault(status=500), anthropic.InternalServerError, "api_error"),
        (Fault(status=529), anthropic.APIStatusError, "overloaded_error"),
        (Fault(filtered=True), anthropic.BadRequestError, "invalid_request_error"),
    ],
)
def test_anthropic_refuses_in_its_own_words(
    model: ScriptedModel, fault: Fault, error: type[Exception], kind: str
) -> None:
    model.faults.append(fault)
    with (
        anthropic.Anthropic(base_url=model.anthropic_url, api_key="none", max_retries=0) as client,
        pytest.raises(error, match=f"{kind}.*a planned fault"),
    ):
        client.messages.create(model="claude", max_tokens=9, messages=HELLO)


@pytest.mark.parametrize("wait", [7, 0.5, "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_refusal_says_when_to_come_back(model: ScriptedModel, client: openai.OpenAI, wait: float | str) -> None:
    model.faults.append(Fault(status=429, retry_after=wait))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["retry-after"] == str(wait)


@pytest.mark.parametrize("fault", [Fault(status=429, retry_after=None), Fault(status=400, retry_after=3)])
def test_a_refusal_for_good_or_that_does_not_know_says_nothing_of_it(
    model: ScriptedModel, client: openai.OpenAI, fault: Fault
) -> None:
    model.faults.append(fault)
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client)
    assert "retry-after" not in caught.value.response.headers


@pytest.mark.parametrize("fault", [Fault(cut=True), Fault(hang_up=True)])
def test_connections_are_cut(model: ScriptedModel, client: openai.OpenAI, fault: Fault) -> None:
    model.faults.append(fault)
    with pytest.raises(openai.APIConnectionError):
        ask(client)
    model.log.wait_until(lambda calls: calls[0].fate is Fate.CUT)
    assert bool(model.log.calls[0].response_id) is fault.cut, "only in the middle is there an answer"
    assert ask(client) == "You asked: hello"


def test_an_answer_in_pieces_is_cut_after_some(model: ScriptedModel, client: openai.OpenAI) -> None:
    model.faults.append(Fault(cut=True))
    heard: list[str] = []
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012  it comes while reading
        for piece in client.chat.completions.create(model="any", messages=HELLO, stream=True):
            heard.append(piece.choices[0].delta.content or "")  # noqa: PERF401
    assert "".join(heard) in "You asked: hello"
    assert heard
    assert fates(model.log) == [Fate.CUT]


def test_an_answer_may_stall_in_the_middle(model: ScriptedModel, client: openai.OpenAI) -> None:
    model.faults.append(Fault(stall_s=0.01))
    assert ask(client) == "You asked: hello"
    model.faults.append(Fault(stall_s=60))
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.2))


async def test_a_client_that_goes_away_is_noted(model: ScriptedModel) -> None:
    model.faults.append(Fault(delay_s=60))
    async with openai.AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0) as client:
        asking = asyncio.create_task(client.responses.create(model="any", input="hello"))
        await asyncio.to_thread(model.log.wait_for, 1)
        assert fates(model.log) == [Fate.UNDER_WAY]
        asking.cancel()
        await asyncio.to_thread(model.log.wait_until, lambda calls: calls[0].fate is Fate.ABANDONED)


def test_faults_are_aimed_at_calls_by_number_or_by_what_they_ask(model: ScriptedModel, client: openai.OpenAI) -> None:
    model.aim(Fault(status=500), nth=2)
    model.aim(Fault(status=401), at="fraud", times=1)
    model.aim(Fault(status=404), at=lambda request: request.model == "gpt-1")
    assert ask(client) == "You asked: hello"
    with pytest.raises(openai.InternalServerError):
        ask(client)
    with pytest.raises(openai.AuthenticationError):
        ask(client, "is it fraud?")
    assert ask(client, "is it fraud?") == "You asked: is it fraud?"
    for _ in range(2):
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="gpt-1", input="hello")


def test_faults_that_are_aimed_at_the_same_befall_one_call_each(model: ScriptedModel, client: openai.OpenAI) -> None:
    model.aim(Fault(status=500), times=1)
    model.aim(Fault(status=401), times=1)
    model.aim(Fault(status=404), nth=3)
    for error in (openai.InternalServerError, openai.AuthenticationError, openai.NotFoundError):
        with pytest.raises(error):
            ask(client)
    assert ask(client) == "You asked: hello"


async def test_a_call_is_held_until_the_test_lets_go(model: ScriptedModel) -> None:
    held = threading.Event()
    model.aim(Fault(until=held), at="slow")
    async with openai.AsyncOpenAI(base_url=model.base_url, api_key="none", max_retries=0) as client:
        slow = asyncio.create_task(client.responses.create(model="any", input="slow"))
        await asyncio.to_thread(model.log.wait_for, 1)
        await client.responses.create(model="any", input="quick")
        assert not slow.done()
        held.set()
        assert (await slow).output_text == "You asked: slow"


def test_once_it_has_caught_up_all_that_was_sent_is_in_the_log(model: ScriptedModel) -> None:
    url = urlsplit(model.base_url)
    body = b'{"messages": []}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    model.usually = Fault(delay_s=60)
    for number in range(1, 50):
        with socket.create_connection((url.hostname, url.port)) as client:
            client.sendall(head + body)
            model.catch_up()
            assert len(model.log.calls) == number


def test_what_is_asked_again_to_the_letter_is_found(model: ScriptedModel, client: openai.OpenAI) -> None:
    model.faults.append(Fault(status=500))
    with pytest.raises(openai.InternalServerError):
        ask(client)
    ask(client)
    ask(client, "something else")
    assert model.log.repeated == [], "what was refused may be asked again"
    ask(client)
    assert [call.number for call in model.log.repeated] == [4]
    assert len({call.digest for call in model.log.calls}) == 2


def test_answers_in_turn_are_the_same_for_who_asks_again(model: ScriptedModel, client: openai.OpenAI) -> None:
    model.script = in_turn(Reply("one"), Reply("two"))
    assert [ask(client), ask(client), ask(client, "and?"), ask(client)] == ["one", "one", "two", "one"]
    with pytest.raises(openai.BadRequestError, match="the script has 2 answers, and was asked for one more"):
        ask(client, "and then?")


def test_a_script_may_await(model: ScriptedModel, client: openai.OpenAI) -> None:
    async def script(_: object) -> Reply:
        await asyncio.sleep(0)
        return Reply("slowly")

    model.script = script
    assert ask(client) == "slowly"


def test_without_a_script_a_tool_is_called_and_what_it_returned_is_said(
    model: ScriptedModel, client: openai.OpenAI
) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": {}, "strict": False}
    [call] = client.responses.create(model="any", input="hello", tools=[tool]).output
    assert call.type == "function_call"
    returned: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    items: Any = [*HELLO, call.to_dict(), returned]
    assert client.responses.create(model="any", input=items, tools=[tool]).output_text == "rain"


def test_it_forgets(model: ScriptedModel, client: openai.OpenAI) -> None:
    ask(client)
    model.aim(Fault(status=500))
    model.faults.append(Fault(status=500))
    model.forget()
    assert model.log.calls == []
    assert ask(client) == "You asked: hello"


def test_its_environment_names_it_to_openai_and_anthropic(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in model.environment.items():
        monkeypatch.setenv(name, value)
    with openai.OpenAI() as client:
        assert ask(client) == "You asked: hello"
    with anthropic.Anthropic() as other:
        other.messages.create(model="claude", max_tokens=9, messages=HELLO)
    assert [call.interface for call in model.log.calls] == ["responses", "anthropic"]


def test_the_embedded_model_may_answer_instead_of_a_script(client: openai.OpenAI, model: ScriptedModel) -> None:
    pytest.importorskip("xllamacpp", reason="the extra local-llm is not installed")
    model.script = smollm2
    assert ask(client)[-1] in ".!?"
    schema: Any = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
    format: Any = {"type": "json_schema", "name": "answer", "schema": schema}
    said = client.responses.create(model="any", input="Is this a question?", text={"format": format})
    assert list(json.loads(said.output_text)) == ["yes"]
