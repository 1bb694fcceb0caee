"""A chat model whose client sends each request once: how often it is tried again is the invocation's business.

Clients retry on their own, where nobody sees it, and multiply what `RunOptions` allow. LangChain's models say how often
by a field of one name, `max_retries`, and hand it to their clients as they are made: with the model, or as it is first
asked. What the user has set stays.
"""

from collections.abc import Callable
from typing import Any, cast

from perdure.ext.missing import needs

with needs("langchain", extra="langchain"):
    from langchain_core.language_models.chat_models import BaseChatModel


def try_once(model: BaseChatModel) -> None:
    """Changes a model that nobody else has."""
    fields = type(model).model_fields
    if "max_retries" not in fields or "max_retries" in model.model_fields_set:
        return
    held: dict[str, Any] = vars(model)
    held["max_retries"] = 0
    made: dict[int, Any] = {}
    for name, value in list(held.items()):
        if name not in fields:  # a cached property, such as a client that was made by what held until now
            del held[name]
        elif value is not None:
            held[name] = _trying_once(value, made)


def _trying_once(value: Any, made: dict[int, Any]) -> Any:
    """A client as most providers have it (openai, anthropic, groq), or a part of one: a copy; else the same value."""
    if _is_client(value):
        if id(value) not in made:
            made[id(value)] = value.with_options(max_retries=0)
        return made[id(value)]
    owner = getattr(value, "_client", None)
    return cast("Callable[[Any], Any]", type(value))(_trying_once(owner, made)) if _is_client(owner) else value


def _is_client(value: object) -> bool:
    return hasattr(type(value), "with_options")
