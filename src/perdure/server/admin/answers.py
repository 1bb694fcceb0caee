"""What routes of the admin port begin and end with: the engine, JSON bodies, queries; JSON, and errors in it."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from perdure.engine.engine import Engine
from perdure.errors import InvalidInput, TooLarge, UsageError

T = TypeVar("T")
Query = TypeVar("Query", bound=Struct)

BODY_BYTES_MAX = 1024 * 1024


class UnsupportedMediaType(UsageError):
    """The body is not said to be JSON. Browsers can send other types across sites without asking, so it is refused."""

    http_status = 415


def engine_of(request: Request) -> Engine:
    return request.app.state.engine


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def error_response(
    status: int, message: str, restate_code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The open interface's shape: `{"message", "restate_code"}`."""
    response = json_response({"message": message, "restate_code": restate_code}, status, headers)
    if status == 503:
        response.headers["retry-after"] = "1"
    return response


async def read_json(request: Request, type: type[T], bytes_max: int = BODY_BYTES_MAX) -> T:
    """The request's body as a `type`.

    Raises:
        InvalidInput: it is not JSON, or does not fit; the message says where.
        TooLarge, UnsupportedMediaType
    """
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType(
            f"the body's content-type is {content_type!r}: send JSON with `content-type: application/json` "
            "(with curl: `--json '...'`)"
        )
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise TooLarge(f"the body is larger than {bytes_max} bytes, which is the limit")
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body does not fit: {error}") from error
    except msgspec.DecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("the body is not JSON: it is not UTF-8, or nested too deep") from error


def read_query(request: Request, type: type[Query]) -> Query:
    """The request's query as a Struct, of which each field is a parameter.

    Raises:
        InvalidInput: a parameter does not fit, is missing, given twice, or not known. Unknown ones are refused: a
            `force` that is misspelled must not go unnoticed.
    """
    known = [field.encode_name for field in msgspec.structs.fields(type)]
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise InvalidInput(f"query: no parameter {name!r} here; there is {', '.join(known)}")
        if name in given:
            raise InvalidInput(f"query: {name} is given twice")
        given[name] = value
    try:
        return msgspec.convert(given, type, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"query: {error}".replace("$.", "")) from error
