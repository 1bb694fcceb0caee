"""A header that tells a provider of which step a request is a try: it need not answer, and bill, two tries of one."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from perdure.sdk.capabilities.runs import run_key

_KEY: Final = "Idempotency-Key"


def with_key(headers: Mapping[str, Any], besides: Iterable[str] = ()) -> Mapping[str, Any]:
    """The headers of one try, within its step. A key of the user's own stays: then they are given back as they are.

    `besides`: names of headers that the library sends too.
    """
    has_key = _KEY.lower() in map(str.lower, (*headers, *besides))
    return headers if has_key else {**headers, _KEY: run_key()}
