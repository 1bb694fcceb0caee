"""The scripted model, asked by Google's own client: it finds it by the environment."""

from collections.abc import Iterator

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from perdure.testing.call_log import Fate
from perdure.testing.model import Answer, Fault, Reply, ScriptedModel, Usage

GEMINI = "gemini-2.5-flash"
TWICE = Reply.calling(("weather", {"city": "Oslo"}), ("time", {"city": "Rome"}), content="Let me see.")
TOOLS = types.Tool(function_declarations=[types.FunctionDeclaration(name=name) for name in ("weather", "time")])
WITH_TOOLS = types.GenerateContentConfig(tools=[TOOLS], system_instruction="Be kind.")


class City(BaseModel):
    name: str


@pytest.fixture(autouse=True)
def scripted(model: ScriptedModel) -> None:
    model.forget()


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[genai.Client]:
    with genai.Client() as client:
        yield client


def test_a_question_is_answered_with_text(model: ScriptedModel, client: genai.Client) -> None:
    answer = client.models.generate_content(model=GEMINI, contents="hello")
    assert (answer.text, answer.model_version) == ("You asked: hello", GEMINI)
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert min(answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count) > 0
    [call] = model.log.calls
    assert (call.interface, call.model, call.response_id) == ("gemini", GEMINI, answer.response_id)


def test_tools_are_called_and_what_they_returned_is_read(model: ScriptedModel, client: genai.Client) -> None:
    model.script = lambda request: Reply(str(request.results)) if request.results else TWICE
    asked = types.UserContent("hello")
    answer = client.models.generate_content(model=GEMINI, contents=asked, config=WITH_TOOLS)
    assert [(call.name, call.args) for call in answer.function_calls] == [
        ("weather", {"city": "Oslo"}),
        ("time", {"city": "Rome"}),
    ]
    results = [
        types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": "fine"}))
        for call in answer.function_calls
    ]
    contents = [asked, answer.candidates[0].content, types.UserContent(results)]
    answer = client.models.generate_content(model=GEMINI, contents=contents, config=WITH_TOOLS)
    assert answer.text == "{'weather': 'fine', 'time': 'fine'}"
    assert model.log.calls[-1].request.instructions == "Be kind."


def test_in_pieces_it_is_the_same(model: ScriptedModel, client: genai.Client) -> None:
    model.script = lambda _: TWICE
    pieces = list(client.models.generate_content_stream(model=GEMINI, contents="hello", config=WITH_TOOLS))
    parts = [part for piece in pieces for part in piece.candidates[0].content.parts]
    assert [part.text for part in parts if part.text] == ["Let", " me", " see."]
    assert [part.function_call.name for part in parts if part.function_call] == ["weather", "time"]
    assert [piece.candidates[0].finish_reason for piece in pieces] == [None, None, None, types.FinishReason.STOP]


def test_an_answer_with_a_schema_is_the_scripts(model: ScriptedModel, client: genai.Client) -> None:
    model.script = lambda request: Reply.of(dict.fromkeys(request.schema["properties"], "Oslo"))
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    assert client.models.generate_content(model=GEMINI, contents="hello", config=config).parsed == City(name="Oslo")


def test_the_script_may_say_why_it_ended_and_what_it_cost(model: ScriptedModel, client: genai.Client) -> None:
    model.script = lambda _: Answer(Reply("Once upon"), "length", Usage(90, 10, cached_tokens=80))
    answer = client.models.generate_content(model=GEMINI, contents="hello")
    assert answer.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    usage = answer.usage_metadata
    assert (usage.total_token_count, usage.cached_content_token_count) == (100, 80)


@pytest.mark.parametrize(
    ("status", "name", "error"),
    [
        (400, "INVALID_ARGUMENT", errors.ClientError),
        (401, "UNAUTHENTICATED", errors.ClientError),
        (429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (500, "INTERNAL", errors.ServerError),
        (503, "UNAVAILABLE", errors.ServerError),
    ],
)
def test_it_refuses_in_googles_words(
    model: ScriptedModel, client: genai.Client, status: int, name: str, error: type[errors.APIError]
) -> None:
    model.faults.append(Fault(status=status, retry_after=7))
    with pytest.raises(error, match="a planned fault") as caught:
        client.models.generate_content(model=GEMINI, contents="hello")
    assert (caught.value.code, caught.value.status) == (status, name)
    said = [detail["retryDelay"] for detail in caught.value.details["error"].get("details", [])]
    assert said == (["7s"] if status in (429, 500, 503) else [])


def test_content_that_is_filtered_is_answered_without_candidates(model: ScriptedModel, client: genai.Client) -> None:
    model.aim(Fault(filtered=True))
    answer = client.models.generate_content(model=GEMINI, contents="hello")
    [piece] = client.models.generate_content_stream(model=GEMINI, contents="hello")
    assert answer.candidates is piece.candidates is None
    assert answer.prompt_feedback.block_reason is types.BlockedReason.SAFETY
    assert piece.prompt_feedback.block_reason_message == "a planned fault"
    assert [call.fate for call in model.log.calls] == [Fate.REFUSED, Fate.REFUSED]
