"""What the open interface has and this engine does not: answered with 501 and what there is instead."""

from starlette.requests import Request
from starlette.responses import Response

from perdure.errors import NotOffered
from perdure.server.admin.operation import Method, Operation


async def kafka(_: Request) -> Response:
    """Not offered here."""
    raise NotOffered("Kafka is not offered here: have a consumer of your own send each record to the ingress")


_SUMMARIES = {"/kafka-clusters": "Kafka clusters", "/subscriptions": "Kafka subscriptions"}
_ROUTES: list[tuple[str, str, tuple[Method, ...]]] = [
    ("/kafka-clusters", "/kafka-clusters", ("GET", "POST")),
    ("/kafka-clusters", "/kafka-clusters/{name}", ("GET", "PATCH", "DELETE")),
    ("/subscriptions", "/subscriptions", ("GET", "POST")),
    ("/subscriptions", "/subscriptions/{subscription_id}", ("GET", "DELETE")),
]

OPERATIONS = [
    Operation(
        method=method,
        path=path,
        endpoint=kafka,
        tag="not offered",
        summary=_SUMMARIES[noun],
        answers={},
        errors={501: "Kafka is not offered"},
    )
    for noun, path, methods in _ROUTES
    for method in methods
]
