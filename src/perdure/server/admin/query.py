"""SQL over HTTP: what the engine holds, in tables."""

import asyncio
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from perdure.server.admin.answers import error_response, read_json
from perdure.server.admin.operation import Operation
from perdure.server.query.problems import TooManyQueries
from perdure.server.query.queries import Queries
from perdure.server.query.results import ARROW_TYPE, JSON_TYPE


class QueryRequest(Struct):
    """The body of `POST /query`: one statement that reads. `columns`: JSON says their names, too."""

    query: str
    columns: bool = False


class QueryAnswer(Struct):
    """Of each row the columns that are not null; the names of all columns if they were asked for."""

    rows: list[dict[str, Any]]
    columns: list[str] | UnsetType = UNSET


async def query(request: Request) -> Response:
    """JSON where `accept` asks for `application/json`, else a stream of Arrow's IPC format."""
    asked = await read_json(request, QueryRequest)
    as_json = JSON_TYPE in request.headers.get("accept", "")
    queries: Queries = request.app.state.queries
    running = asyncio.ensure_future(queries.run(asked.query, as_json=as_json, named=asked.columns))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({running, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            return Response(status_code=499)  # nobody reads it
        parts = running.result()
    except TooManyQueries as error:
        return error_response(error.http_status, str(error), headers={"retry-after": "1"})
    finally:
        for task in (running, gone):
            task.cancel()
        await asyncio.gather(running, gone, return_exceptions=True)
    return Response(b"".join(parts), media_type=JSON_TYPE if as_json else ARROW_TYPE)


async def _gone(request: Request) -> None:
    """Returns when the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


OPERATIONS = [
    Operation(
        method="POST",
        path="/query",
        endpoint=query,
        tag="introspection",
        summary="Ask in SQL",
        body=QueryRequest,
        answers={200: QueryAnswer},
        errors={429: "As many queries run as may: ask again"},
        also_as=(ARROW_TYPE,),
    ),
]
