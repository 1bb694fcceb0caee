"""The OpenAPI document is made from what the operations declare, and a query is read as it is declared."""

import re
from typing import Literal

import httpx
import pytest
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from perdure.errors import InvalidInput
from perdure.server.admin.answers import read_query
from perdure.server.admin.openapi import openapi_document
from perdure.server.admin.operation import Operation, routes_of


class Paint(Struct, forbid_unknown_fields=True):
    color: str


class Coat(Struct):
    layers: int = 1
    mode: Literal["dry", "wet"] = "dry"


async def paint(request: Request) -> Response:
    """Put color on a wall."""
    return Response(str(read_query(request, Coat).layers))


PAINT = Operation(
    method="POST",
    path="/walls/{wall}",
    endpoint=paint,
    tag="walls",
    summary="Paint a wall",
    body=Paint,
    query=Coat,
    answers={200: Paint, 202: None},
    errors={409: "The wall is wet"},
    also_as=("image/png",),
)


def test_an_operation_is_described_with_its_parameters_body_answers_and_errors() -> None:
    document = openapi_document([PAINT])
    described = document["paths"]["/walls/{wall}"]["post"]
    assert (described["summary"], described["description"]) == ("Paint a wall", "Put color on a wall.")
    assert [(each["name"], each["in"]) for each in described["parameters"]] == [
        ("wall", "path"),
        ("layers", "query"),
        ("mode", "query"),
    ]
    assert described["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Paint"}
    assert set(described["responses"]) == {"200", "202", "400", "404", "409", "413", "415", "500", "503"}
    assert set(described["responses"]["200"]["content"]) == {"application/json", "image/png"}
    assert "content" not in described["responses"]["202"]
    assert described["responses"]["409"]["description"] == "The wall is wet"
    assert set(document["components"]["schemas"]) == {"Error", "Paint"}


async def test_a_method_that_a_path_does_not_have_is_told_all_that_it_has() -> None:
    async def look(_: Request) -> Response:
        return Response()

    show = Operation(
        method="GET", path="/walls/{wall}", endpoint=look, tag="walls", summary="Look", answers={200: None}
    )
    app = Starlette(routes=routes_of([PAINT, show]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://admin") as client:
        answer = await client.delete("/walls/north")
        painted = await client.post("/walls/north?layers=3")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert painted.text == "3"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("layers=many", "at `layers`"),
        ("mode=damp", "at `mode`"),
        ("layer=3", "no parameter 'layer' here; there is layers, mode"),
        ("layers=1&layers=2", "layers is given twice"),
    ],
)
def test_a_query_that_does_not_fit_names_the_parameter(query: str, says: str) -> None:
    request = Request({"type": "http", "query_string": query.encode(), "headers": []})
    with pytest.raises(InvalidInput, match=re.escape(says)):
        read_query(request, Coat)
