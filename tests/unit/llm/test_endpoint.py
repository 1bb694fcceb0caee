"""The model endpoint as an ASGI app: what is no request is a 400, wherever the app is mounted."""

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from perdure.llm.chat import ChatRequest, Reply
from perdure.llm.endpoint import INTERFACES, chat_app


async def echo(asked: ChatRequest) -> Reply:
    return Reply(content=asked.question)


app = chat_app(echo, "echo")


@pytest.mark.parametrize("path", INTERFACES)
@pytest.mark.parametrize(
    "body", [b"{", b'{"messages": 3, "input": 3}', b'{"messages": [{"role": "\xff"}], "input": "\xff"}']
)
def test_what_cannot_be_read_is_refused(path: str, body: bytes) -> None:
    answer = TestClient(app).post(path, content=body)
    assert (answer.status_code, "this cannot be answered" in answer.json()["error"]["message"]) == (400, True)


def test_it_may_be_mounted_anywhere() -> None:
    client = TestClient(Starlette(routes=[Mount("/models/small", app)]))
    messages = [{"role": "user", "content": "hello"}]
    answer = client.post("/models/small/v1/chat/completions", json={"messages": messages})
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    answer = client.post("/models/small/v1/responses", json={"input": messages})
    assert answer.json()["output"][0]["content"][0]["text"] == "hello"
