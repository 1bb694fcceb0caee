"""When a client sends a request again, and when not; and what its requests are made of."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyqwest
import pytest

import perdure
from perdure.errors import UsageError
from perdure.sdk import client_calls as calls
from perdure.sdk import client_completions as completions
from perdure.sdk import client_results as results
from perdure.sdk.client import create_client, create_sync_client
from perdure.sdk.client_errors import HttpError, InvocationFailed
from perdure.sdk.client_requests import ATTEMPTS_MAX, Address, Exchange, Pause, steps

ADDRESS = Address("http://in", "http://admin", {"x-tenant": "acme"})
BROKEN = pyqwest.ReadError("connection reset")

service = perdure.Service("Greeter")
counter = perdure.VirtualObject("Counter")
workflow = perdure.Workflow("Signup")


@service.handler()
async def greet(ctx: perdure.Context, name: str) -> str:
    return name


@counter.handler()
async def add(ctx: perdure.ObjectContext, amount: int) -> int:
    return amount


@workflow.main()
async def run(ctx: perdure.WorkflowContext, name: str) -> str:
    return name


@workflow.handler()
async def status(ctx: perdure.WorkflowSharedContext) -> str:
    return ""


def answer(status: int, body: bytes = b"", **headers: str) -> pyqwest.FullResponse:
    named = pyqwest.Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return pyqwest.FullResponse(status=status, headers=named, content=body, trailers=pyqwest.Headers())


def refused(status: int, **headers: str) -> pyqwest.FullResponse:
    return answer(status, b'{"message": "busy"}', x_restate_error_source="ingress", **headers)


def course(
    exchange: Exchange[Any], answers: Sequence[pyqwest.FullResponse | Exception]
) -> tuple[Any, list[str], list[float]]:
    """The result (or the error), the URLs that were sent to, and the pauses, with the longest that jitter allows."""
    going = steps(exchange, lambda: 1.0)
    sent: list[str] = []
    pauses: list[float] = []
    left = list(answers)
    try:
        step = next(going)
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = going.send(None)
                continue
            sent.append(step.url)
            given = left.pop(0)
            step = going.throw(given) if isinstance(given, Exception) else going.send(given)
    except StopIteration as end:
        return end.value, sent, pauses
    except (HttpError, OSError) as error:
        return error, sent, pauses


KEYED = calls.service_call(ADDRESS, greet, "Ada", idempotency_key="k")
UNKEYED = calls.service_call(ADDRESS, greet, "Ada")
HELLO = answer(200, b'"hello"')

REPEATED = {
    "a call with an idempotency key": KEYED,
    "a send with an idempotency key": calls.service_send(ADDRESS, greet, "Ada", idempotency_key="k"),
    "a workflow": calls.workflow_call(ADDRESS, run, "w", "Ada"),
    "a workflow that is submitted": calls.workflow_send(ADDRESS, run, "w", "Ada"),
    "attach": results.attach(ADDRESS, "inv_1x"),
    "output": results.output(ADDRESS, "inv_1x"),
    "attach to a workflow": results.workflow_attach(ADDRESS, run, "w"),
    "output by key": results.idempotent_output(ADDRESS, greet, "k"),
    "lookup": results.workflow_lookup(ADDRESS, run, "w"),
    "an awakeable": completions.resolve_awakeable(ADDRESS, "sign_1x", 1),
}
ONCE = {
    "a call": UNKEYED,
    "a send": calls.service_send(ADDRESS, greet, "Ada"),
    "a workflow's shared handler": calls.workflow_call(ADDRESS, status, "w", None),
    "a signal": completions.resolve_signal(ADDRESS, "inv_1x", "go", 1),
    "a promise": completions.resolve_promise(ADDRESS, workflow, "w", "p", 1),
    "a cancel": completions.cancel(ADDRESS, "inv_1x"),
    "a kill": completions.kill(ADDRESS, "inv_1x"),
}


@pytest.mark.parametrize("what", REPEATED)
@pytest.mark.parametrize("trouble", [BROKEN, ConnectionRefusedError("no"), refused(503), refused(500), answer(502)])
def test_what_can_be_repeated_is_with_growing_pauses_and_not_for_ever(what: str, trouble: Any) -> None:
    error, sent, pauses = course(REPEATED[what], [trouble] * ATTEMPTS_MAX)
    assert len(sent) == ATTEMPTS_MAX == 6
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert isinstance(error, OSError if isinstance(trouble, Exception) else HttpError)


@pytest.mark.parametrize("what", ONCE)
@pytest.mark.parametrize("trouble", [BROKEN, ConnectionRefusedError("no"), refused(503), refused(500), answer(429)])
def test_what_may_have_been_taken_is_not_sent_again(what: str, trouble: Any) -> None:
    error, sent, _ = course(ONCE[what], [trouble])
    assert len(sent) == 1
    assert isinstance(error, OSError if isinstance(trouble, Exception) else HttpError)


def test_pauses_are_jittered_fully_and_no_longer_than_two_seconds() -> None:
    going = steps(KEYED, lambda: 0.25)
    next(going)
    assert going.throw(BROKEN) == Pause(0.025)
    _, _, pauses = course(KEYED, [BROKEN] * 5 + [HELLO])
    assert max(pauses) <= 2.0


def test_a_repetition_that_is_answered_gives_its_answer() -> None:
    assert course(KEYED, [BROKEN, refused(503), HELLO])[0] == "hello"


def test_a_busy_ingress_that_took_nothing_is_asked_again_when_it_said() -> None:
    value, sent, pauses = course(UNKEYED, [refused(429, retry_after="3"), refused(429), HELLO])
    assert (value, len(sent), pauses) == ("hello", 3, [3.0, 0.2])
    error, sent, _ = course(UNKEYED, [refused(429, retry_after="3600")])
    assert isinstance(error, HttpError)
    assert (error.retry_after, len(sent)) == (timedelta(hours=1), 1)


def test_a_failed_invocation_is_an_answer_and_not_asked_again() -> None:
    body = b'{"code": 503, "message": "no", "source": "invocation", "metadata": {"a": "b"}}'
    for failed in (
        answer(503, body, x_restate_error_source="invocation", x_restate_id="inv_1x"),
        answer(503, body, x_restate_id="inv_1x"),
    ):
        error, sent, _ = course(KEYED, [failed])
        assert isinstance(error, InvocationFailed)
        assert len(sent) == 1
        assert (error.status_code, error.message, error.metadata) == (503, "no", {"a": "b"})
        assert (error.source, error.invocation_id, error.body) == ("invocation", "inv_1x", body.decode())
    error, _, _ = course(KEYED, [answer(404, b"not JSON")])
    assert type(error) is HttpError
    assert (error.message, error.source) == ("not JSON", None)


def test_a_workflow_that_was_taken_before_the_connection_broke_is_attached_to() -> None:
    taken = answer(409, b'{"message": "runs once"}')
    value, sent, _ = course(REPEATED["a workflow"], [BROKEN, taken, HELLO])
    assert (value, sent[-1]) == ("hello", "http://in/restate/attach")
    error, sent, _ = course(REPEATED["a workflow"], [taken])
    assert isinstance(error, HttpError)
    assert (error.status_code, len(sent)) == (409, 1)


def test_an_output_that_is_not_ready_is_no_error() -> None:
    value, _, _ = course(results.output(ADDRESS, "inv_1x", type_hint=int), [answer(470)])
    assert value is perdure.NOT_READY
    assert not value
    assert course(results.output(ADDRESS, "inv_1x", type_hint=int), [answer(200, b"0")])[0] == 0


SHAPES = {
    "POST http://in/restate/call/Greeter/greet": UNKEYED,
    "POST http://in/restate/call/Counter/a%2Fb%20c/add": calls.object_call(ADDRESS, add, "a/b c", 1),
    "POST http://in/restate/scope/s/call/Counter/k/add": calls.object_call(ADDRESS.scoped("s"), add, "k", 1),
    "POST http://in/restate/scope/s/send/Signup/w/run?delay=1500ms": calls.workflow_send(
        ADDRESS.scoped("s"), run, "w", "Ada", send_delay=timedelta(seconds=1.5)
    ),
    "POST http://in/restate/send/Any/thing": calls.generic_send(ADDRESS, "Any", "thing", b""),
    "GET http://in/restate/attach/inv_1x": results.attach(ADDRESS, "inv_1x"),
    "GET http://in/restate/output/inv_1x": results.output(ADDRESS, "inv_1x"),
    "POST http://in/restate/awakeables/sign_1x/reject": completions.reject_awakeable(ADDRESS, "sign_1x", "no"),
    "POST http://in/restate/signals/inv_1x/go%20on/resolve": completions.resolve_signal(ADDRESS, "inv_1x", "go on", 1),
    "POST http://in/restate/signals/inv_1x/go/reject": completions.reject_signal(ADDRESS, "inv_1x", "go", "no"),
    "POST http://in/restate/promises/Signup/w/ok/resolve": completions.resolve_promise(ADDRESS, workflow, "w", "ok", 1),
    "POST http://in/restate/scope/s/promises/Signup/w/ok/reject": completions.reject_promise(
        ADDRESS.scoped("s"), "Signup", "w", "ok", "no"
    ),
    "PATCH http://admin/invocations/inv_1x/cancel?kill_after=30000ms": completions.cancel(
        ADDRESS, "inv_1x", kill_after=timedelta(seconds=30)
    ),
    "PATCH http://admin/invocations/inv_1x/kill": completions.kill(ADDRESS, "inv_1x"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_where_a_request_goes(shape: str) -> None:
    exchange = SHAPES[shape]
    assert f"{exchange.method} {exchange.url}" == shape
    assert exchange.headers["x-tenant"] == "acme"


def test_what_names_an_invocation_goes_in_the_body() -> None:
    scoped = ADDRESS.scoped("s")
    assert results.workflow_lookup(ADDRESS, run, "w").body == (
        b'{"target":"workflow","workflowName":"Signup","workflowKey":"w"}'
    )
    assert results.idempotent_attach(scoped, add, "once", key="k").body == (
        b'{"target":"idempotentInvocation","service":"Counter","handler":"add","idempotencyKey":"once",'
        b'"key":"k","scope":"s"}'
    )


def test_options_are_headers() -> None:
    exchange = calls.service_call(
        ADDRESS.scoped("openai"),
        greet,
        "Ada",
        idempotency_key="k",
        limit_key="tenant/user",
        priority=-7,
        headers={"x-a": "b"},
    )
    assert exchange.headers == {
        "x-tenant": "acme",
        "content-type": "application/json",
        "x-a": "b",
        "idempotency-key": "k",
        "x-restate-limit-key": "tenant/user",
        "x-perdure-priority": "-7",
    }


def test_what_is_wrong_is_refused_before_it_is_sent() -> None:
    with pytest.raises(UsageError, match="bad scope"):
        ADDRESS.scoped("a b")
    with pytest.raises(UsageError, match="without a scope"):
        calls.service_call(ADDRESS, greet, "Ada", limit_key="a")
    with pytest.raises(UsageError, match="from -100 to 100"):
        calls.service_call(ADDRESS, greet, "Ada", priority=101)
    with pytest.raises(UsageError, match="must not be empty"):
        calls.service_call(ADDRESS, greet, "Ada", idempotency_key="")
    with pytest.raises(UsageError, match=r'admin_url="http://localhost:9070"'):
        completions.cancel(Address("http://in", None, {}), "inv_1x")


@pytest.mark.parametrize(
    "exchange",
    [
        KEYED,
        calls.service_send(ADDRESS, greet, "Ada"),
        results.attach(ADDRESS, "inv_1"),
        results.workflow_lookup(ADDRESS, run, "k"),
    ],
    ids=["call", "send", "attach", "lookup"],
)
def test_an_answer_that_is_none_of_the_ingress_is_an_http_error(exchange: Exchange[Any]) -> None:
    error, sent, _ = course(exchange, [answer(200, b"<html>log in, please</html>")])
    assert isinstance(error, HttpError)
    assert (error.status_code, error.source, len(sent)) == (200, None, 1)
    assert "begins with '<html>log in" in str(error)
    assert error.body == "<html>log in, please</html>"


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_in_no_known_encoding_is_told_all_the_same(status: int) -> None:
    error, _, _ = course(UNKEYED, [answer(status, b"nobody \xff knows", content_type="text/plain; charset=nonsense")])
    assert isinstance(error, HttpError)
    assert error.body == "nobody \ufffd knows"


def test_a_result_of_another_type_says_which_invocation_has_it() -> None:
    error, _, _ = course(KEYED, [answer(200, b"7", x_restate_id="inv_1")])
    assert isinstance(error, HttpError)
    assert error.invocation_id == "inv_1"
    assert "Expected `str`, got `int`" in str(error)


def test_all_that_is_told_to_an_invocation_takes_what_a_send_gave() -> None:
    sent: calls.DurableClientSendHandle[str] = calls.DurableClientSendHandle("inv_1", 202, new=True)
    for said, url in [
        (completions.resolve_signal(ADDRESS, sent, "go", 1), "http://in/restate/signals/inv_1/go/resolve"),
        (completions.reject_signal(ADDRESS, sent, "go", "no"), "http://in/restate/signals/inv_1/go/reject"),
        (completions.cancel(ADDRESS, sent), "http://admin/invocations/inv_1/cancel"),
        (completions.kill(ADDRESS, sent), "http://admin/invocations/inv_1/kill"),
    ]:
        assert said.url == url


@pytest.mark.parametrize(
    "url", ["not a url", "localhost:8080", "http://", "http://h:port", "ftp://h", "http://h?x=1", ""]
)
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    for create in (create_client, create_sync_client):
        with pytest.raises(UsageError, match=r'ingress_url must be an address such as "http://localhost:8080", not '):
            create(url)
        with pytest.raises(UsageError, match="admin_url must be an address"):
            create("https://ingress.example/behind/a/proxy/", admin_url=url)


def test_a_client_that_was_not_entered_says_so() -> None:
    with pytest.raises(UsageError, match=r"`async with perdure.create_client\(\.\.\.\) as client:`.*client\.attach"):
        create_client().attach("inv_1x")  # type: ignore[attr-defined]  # pyright: ignore
    with pytest.raises(UsageError, match=r"`with perdure.create_sync_client\(\.\.\.\) as client:`.*client\.attach"):
        create_sync_client().attach("inv_1x")  # type: ignore[attr-defined]  # pyright: ignore
    assert not hasattr(create_client(), "no_such_method")


def test_delays_are_not_negative() -> None:
    past = timedelta(seconds=-1)
    with pytest.raises(UsageError, match="send_delay must be zero or more, not -1 s"):
        calls.service_send(ADDRESS, greet, "Ada", send_delay=past)
    with pytest.raises(UsageError, match="kill_after must be zero or more, not -1 s"):
        completions.cancel(ADDRESS, "inv_1x", kill_after=past)
    assert calls.service_send(ADDRESS, greet, "Ada", send_delay=timedelta(0)).url.endswith("?delay=0ms")


def test_the_input_is_left_out_where_there_is_none() -> None:
    for said in [
        calls.workflow_call(ADDRESS, status, "w"),
        calls.workflow_send(ADDRESS, status, "w"),
        calls.object_call(ADDRESS, status, "w"),
        calls.object_send(ADDRESS, status, "w"),
        calls.service_call(ADDRESS, status),
        calls.service_send(ADDRESS, status),
    ]:
        assert (said.body, "content-type" in said.headers) == (b"", False)
    assert calls.generic_call(ADDRESS, "Any", "thing").body == calls.generic_send(ADDRESS, "Any", "thing").body == b""


def test_a_key_that_is_no_text_is_refused_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="names, keys and ids are text, and not 7"):
        calls.object_call(ADDRESS, add, 7, 1)  # type: ignore[arg-type]


def test_text_that_cannot_be_written_is_refused_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="half of a character"):
        calls.object_call(ADDRESS, status, "a\ud800")
    with pytest.raises(UsageError, match="half of a character"):
        completions.reject_awakeable(ADDRESS, "sign_1x", "a\ud800")
