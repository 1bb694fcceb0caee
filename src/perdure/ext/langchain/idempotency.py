"""A header that tells the provider of which step a request is a try, so that it need not answer two tries of one twice.

LangChain has no common way for headers. Models over OpenAI's client take them with each request, and so do all that are
built on the same class: those of Azure, DeepSeek, xAI and others.
"""

from collections.abc import Mapping
from typing import Any, Final

from perdure.sdk.capabilities.runs import run_key

_KEY: Final = "Idempotency-Key"


def with_key(model: Any, bound: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is bound to a request, with the header, which is the step's; a key of the user's own stays."""
    if not any(kind.__module__.startswith("langchain_openai.") for kind in type(model).__mro__):
        return bound
    headers: dict[str, Any] = {**(model.model_kwargs.get("extra_headers") or {}), **(bound.get("extra_headers") or {})}
    if _KEY.lower() in map(str.lower, (*headers, *(model.default_headers or {}))):
        return bound
    return {**bound, "extra_headers": {**headers, _KEY: run_key()}}
