"""The model endpoint as an ASGI app: what is no request is a 400, wherever the app is mounted."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from perdure.llm.chat import ChatRequest, Reply
from perdure.llm.endpoint import Unanswerable, chat_app, interface_at


async def echo(asked: ChatRequest) -> Reply:
    return Reply(content=asked.question)


app = chat_app(echo, "echo")
PATHS = ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/gemini-2.5-flash:generateContent"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"messages": 3, "input": 3, "contents": 3}',
        b'{"messages": [{"role": "\xff"}], "input": "\xff", "contents": "\xff"}',
    ],
)
def test_what_cannot_be_read_is_refused(path: str, body: bytes) -> None:
    assert interface_at(path) is not None
    answer = TestClient(app).post(path, content=body)
    assert (answer.status_code, "this cannot be answered" in answer.json()["error"]["message"]) == (400, True)


def test_it_may_be_mounted_anywhere() -> None:
    client = TestClient(Starlette(routes=[Mount("/models/small", app)]))
    messages = [{"role": "user", "content": "hello"}]
    answer = client.post("/models/small/v1/chat/completions", json={"messages": messages})
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    answer = client.post("/models/small/v1/responses", json={"input": messages})
    assert answer.json()["output"][0]["content"][0]["text"] == "hello"
    contents = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    answer = client.post("/models/small/v1beta/models/any:generateContent", json=contents)
    assert answer.json()["candidates"][0]["content"]["parts"] == [{"text": "hello"}]
    answer = client.post("/models/small/v1/messages", json={"messages": messages})
    assert answer.json()["content"] == [{"type": "text", "text": "hello"}]


def test_where_no_model_is_asked_is_said() -> None:
    answer = TestClient(app).post("/v1/embeddings", json={})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "no model is asked at /v1/embeddings")


async def refuse(asked: ChatRequest) -> Reply:
    raise Unanswerable("not today")


def test_who_replies_may_say_that_there_is_no_answer() -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    answer = TestClient(chat_app(refuse, "none")).post("/v1/messages", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == {"type": "invalid_request_error", "message": "this cannot be answered: not today"}
