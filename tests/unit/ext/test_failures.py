"""Which failures are final, which must pass, and what is said of a library that is missing."""

import pytest

import perdure
from perdure.errors import Cancelled, SuspendedException, TerminalError
from perdure.ext.failures import final, is_cancel, must_pass, of_provider, status_of
from perdure.ext.missing import needs
from perdure.testing import Harness


class TooManyTurns(Exception):
    """As frameworks have it."""


async def test_a_final_error_ends_the_invocation_and_keeps_its_type() -> None:
    agents = perdure.Service("Agents")
    caught: list[str] = []
    attempts: list[int] = []

    @agents.handler()
    async def run(ctx: perdure.Context) -> None:
        attempts.append(1)
        try:
            raise final(TooManyTurns("10 turns"), 422)
        except TooManyTurns as error:
            caught.append(str(error))
            raise

    async with Harness(agents) as h:
        with pytest.raises(TerminalError, match="TooManyTurns: 10 turns") as told:
            await h.call(run)
    assert told.value.status_code == 422
    assert caught == ["10 turns"]
    assert attempts == [1]


def test_what_has_been_decided_stays_so() -> None:
    retryable = perdure.RetryableError("later")
    assert final(retryable).__cause__ is None
    wrapped = TooManyTurns()
    wrapped.__cause__ = SuspendedException()
    assert final(wrapped).__cause__ is wrapped.__cause__
    assert isinstance(wrapped.__cause__, SuspendedException)


def test_a_cancel_is_found_in_whatever_wraps_it() -> None:
    wrapper = ExceptionGroup("tools", [ValueError(), RuntimeError("tool failed")])
    wrapper.__context__ = Cancelled()
    assert is_cancel(wrapper)
    assert must_pass(wrapper)
    assert is_cancel(ExceptionGroup("tools", [Cancelled()]))
    assert not is_cancel(TerminalError("cancelled", 409))
    assert not must_pass(ValueError())


class OfGoogle(Exception):
    code = 429


class OfHttpx(Exception):
    class response:
        status_code = 503


def test_a_status_is_found_wherever_a_library_keeps_it() -> None:
    assert status_of(OfGoogle()) == 429
    assert status_of(OfHttpx()) == 503
    assert status_of(ValueError()) is None


def test_the_status_behind_what_a_framework_raised_counts() -> None:
    class Refused(Exception):
        status_code = 401

    error = RuntimeError("the model failed")
    error.__cause__ = Refused("bad key")
    told = of_provider(error)
    assert isinstance(told, TerminalError)
    assert (told.message, told.status_code) == ("Refused: bad key", 401)


def test_a_response_that_was_cut_is_no_refusal() -> None:
    class Cut(Exception):  # aiohttp's ContentLengthError
        code = 400
        __module__ = "aiohttp.http_exceptions"

    class Unavailable(Exception):
        status_code = 500

    of_a_library, bare = Unavailable("no connection"), ConnectionError()
    of_a_library.__cause__ = bare.__cause__ = Cut()
    assert of_provider(of_a_library) is of_a_library
    assert of_provider(bare) is bare


def test_the_outermost_status_counts() -> None:
    class Refused(Exception):
        status_code = 400

    class Overloaded(Exception):
        status_code = 503

    error = Overloaded()
    error.__context__ = Refused()
    assert of_provider(error) is error


class Refused(Exception):
    status_code = 401


class Overloaded(Exception):
    status_code = 503


@pytest.mark.parametrize(
    "errors", [[Refused(), Overloaded()], [Overloaded(), Refused()], [ConnectionError(), Refused()]]
)
def test_of_several_models_one_may_answer_later(errors: list[Exception]) -> None:
    group = ExceptionGroup("all models failed", errors)
    assert of_provider(group) is group


def test_several_models_that_all_refuse_are_final() -> None:
    told = of_provider(ExceptionGroup("all models failed", [Refused("bad key"), Refused("worse key")]))
    assert isinstance(told, TerminalError)
    assert told.message == "Refused: bad key"


def test_what_failed_before_is_not_what_failed_now() -> None:
    lost = ConnectionError()
    lost.__context__ = Refused()
    assert of_provider(lost) is lost


def test_a_missing_library_is_named_with_its_extra() -> None:
    with (
        pytest.raises(
            ImportError, match=r"needs no-such-agents, which is not installed .* pip install 'perdure\[none\]'"
        ),
        needs("no-such-agents", extra="none"),
    ):
        import no_such_agents  # noqa: F401  # pyright: ignore


def test_a_name_that_a_library_lacks_is_told_as_another_version() -> None:
    told = r"another version of msgspec .*pip install --upgrade 'perdure\[x\]'"
    with pytest.raises(ImportError, match=told), needs("msgspec", extra="x"):
        from msgspec import no_such_name  # noqa: F401  # pyright: ignore
