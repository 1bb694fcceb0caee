"""What a schedule would send its handler, judged as the ingress judges a request: so that what can never begin well is
refused when it is said, and not each time that is due."""

from perdure.engine.firing import check_target
from perdure.engine.registry import Registry
from perdure.engine.schedules import Schedule
from perdure.errors import InvalidInput, UnknownTarget, UsageError
from perdure.protocol.header_syntax import is_header_name, is_header_value
from perdure.protocol.priorities import PRIORITY_HEADER
from perdure.server.ingress_request import LIMIT_KEY_HEADER, check_priority_header
from perdure.server.validation import input_check

_SAID_ELSEWHERE = {
    LIMIT_KEY_HEADER: "the field `limit_key` says it",
    "idempotency-key": "each time that is due begins one invocation anyhow",
}


def check_request(schedule: Schedule, before: Schedule | None, registry: Registry) -> None:
    """Judges the input and the headers of a schedule that is new, or edited from what was `before`.

    What an edit leaves alone is not judged: the handler may have changed since, and the schedule can still be paused.

    Raises:
        UsageError: as the ingress would answer a request like this; the message begins with the field.
        UnknownTarget: a key is missing, or not wanted.
    """
    if before is None or schedule.headers != before.headers:
        for name, value in schedule.headers:
            _check_header(name, value)
    request = (schedule.target, schedule.input, schedule.headers)
    if before is not None and request == (before.target, before.input, before.headers):
        return
    target = schedule.target
    try:
        resolved = registry.resolve(target.service, target.handler)
    except UnknownTarget:
        return  # whoever keeps the schedule says so where that matters
    check_target(resolved, target)
    content_type = dict(schedule.headers).get("content-type")
    try:
        input_check(resolved).check(content_type, schedule.input)
    except InvalidInput as error:
        raise InvalidInput(f"input: {error}") from error


def _check_header(name: str, value: str) -> None:
    if not is_header_name(name):
        raise UsageError(f"headers: {name!r} is no name of a header")
    if not is_header_value(value):
        raise UsageError(f"headers: the value of {name} has a line break, or another control character")
    if name in _SAID_ELSEWHERE:
        raise UsageError(f"headers: {name} has no meaning in a schedule: {_SAID_ELSEWHERE[name]}")
    if name == PRIORITY_HEADER:
        check_priority_header(value)
