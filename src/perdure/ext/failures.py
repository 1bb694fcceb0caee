"""Which failures are final: those of providers that no retry mends, and those of frameworks that replay repeats."""

from collections.abc import Iterator
from typing import Any, Final, TypeVar, cast

from perdure.errors import Cancelled, SdkInternalBaseException, TerminalError, is_internal_exception
from perdure.retry_after import may_pass
from perdure.sdk.failures import decisive

E = TypeVar("E", bound=BaseException)

_UNREADABLE: Final = "aiohttp.http_exceptions"
"""Their `code` is 400 where a response cannot be read, such as one that was cut: nobody answered 400."""

_FILTERED: Final = frozenset(("content_filter", "content_policy_violation", "responsibleaipolicyviolation"))
"""What providers call a request that their filter refuses; in lower case."""


def final(error: E, status_code: int = 500) -> E:
    """The same exception, as one that no retry mends: `raise final(error)`.

    For what a framework raises of its own accord, such as that an agent took too many turns: it follows from what is
    recorded, so another attempt would come to the same. A handler may still catch it by its type.
    """
    if decisive(error) is None and not is_internal_exception(error):
        terminal = TerminalError(f"{type(error).__name__}: {error}", status_code)
        terminal.__cause__ = error.__cause__
        error.__cause__ = terminal
    return error


def is_cancel(error: BaseException) -> bool:
    """Whether it says that the invocation is cancelled, itself or as the cause of what wraps it."""
    return any(isinstance(each, Cancelled) for each in _chain(error))


def must_pass(error: BaseException) -> bool:
    """Whether nobody may make an answer of it: the invocation is cancelled, or the attempt ends here."""
    return any(isinstance(each, (Cancelled, SdkInternalBaseException)) for each in _chain(error))


def of_provider(error: BaseException) -> BaseException:
    """What to raise for what a model call failed with.

    A TerminalError in the provider's words where asking again cannot help (400, 401, 403, 404, 413, 422, a content
    filter), else the exception itself, which is tried again.
    """
    if decisive(error) is not None or not isinstance(error, Exception):
        return error
    refusal = _refusal(error)
    return (
        error if refusal is None else TerminalError(f"{type(refusal).__name__}: {refusal}", status_of(refusal) or 500)
    )


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an exception of a provider's library stands for; None where it stands for none."""
    if type(error).__module__ == _UNREADABLE:
        return None
    response = getattr(error, "response", None)
    # openai, anthropic, litellm and pydantic-ai; google-genai; httpx
    for holder, name in ((error, "status_code"), (error, "code"), (response, "status_code"), (error, "status")):
        status = getattr(holder, name, None)
        if isinstance(status, int) and not isinstance(status, bool) and 100 <= status < 600:
            return status
    return None


def _refusal(error: BaseException | None) -> BaseException | None:
    """The exception that says that asking again cannot help; None where it may help.

    The outermost that has a status knows best: what is behind it may be of the connection. Of several models that were
    tried, all must have refused. What was being handled when an exception was raised (its `__context__`) may be the
    failure of something else.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        status = status_of(error)
        if status is not None:
            return error if status >= 400 and (_filtered(error) or not may_pass(status)) else None
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            refusals = [_refusal(each) for each in group.exceptions]
            return refusals[0] if all(refusals) else None
        error = error.__cause__
    return None


def _filtered(error: BaseException) -> bool:
    named: list[Any] = [getattr(error, "code", None), getattr(error, "type", None)]
    return any(isinstance(name, str) and name.lower() in _FILTERED for name in named)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what it was raised from or holds, and so on."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop(0)
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            left.extend(each.exceptions)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        left.append(each.__cause__ or (None if each.__suppress_context__ else each.__context__))
