"""What goes into a handler comes out as it was: values, nothing, megabytes, headers, failures."""

import pytest

from tests.conformance.conftest import Ingress

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize("text", ["", "hello", "\u00e4\u4e16\U0001f600\n\x00"])
def test_a_value_comes_back(ingress: Ingress, text: str) -> None:
    assert ingress.call("Plain/echo", text) == text


def test_a_big_value_comes_back(ingress: Ingress) -> None:
    text = "0123456789abcdef" * (8 * MEGABYTE // 16)
    assert ingress.call("Plain/echo", text) == text


def test_nothing_is_an_empty_body(ingress: Ingress) -> None:
    answer = ingress.post("Plain/nothing")
    assert (answer.status_code, answer.content) == (200, b"")


def test_the_answer_names_its_invocation(ingress: Ingress) -> None:
    assert ingress.post("Plain/echo", "x").headers["x-restate-id"].startswith("inv_1")


def test_headers_reach_the_handler(ingress: Ingress) -> None:
    assert ingress.call("Plain/headers", x_test_one="1", x_test_two="b b") == {"x-test-one": "1", "x-test-two": "b b"}


@pytest.mark.parametrize("code", [400, 409, 418, 500, 570])
def test_a_terminal_error_is_the_answer_with_its_code(ingress: Ingress, code: int) -> None:
    answer = ingress.post("Plain/fails", code)
    assert answer.status_code == code
    assert answer.json()["code"] == code
    assert answer.json()["message"] == "no, and that is final"


def test_an_unknown_handler_is_not_found(ingress: Ingress) -> None:
    # Whoever answers without reading the body may close the connection.
    for path in ("Plain/no_such_handler", "NoSuchService/echo"):
        assert ingress.post(path, "x", connection="close").status_code == 404


def test_bytes_come_back_as_they_were(ingress: Ingress) -> None:
    data = bytes(range(256)) * 100
    answer = ingress.http.post("/Plain/echo_bytes", content=data, headers={"content-type": "application/octet-stream"})
    assert (answer.status_code, answer.content) == (200, data)


def test_headers_reach_the_callee(ingress: Ingress) -> None:
    assert ingress.call("Plain/headers_of_callee") == {"x-test-by": "a handler"}


def test_a_handler_knows_its_invocation(ingress: Ingress) -> None:
    answer = ingress.post("Plain/own_id")
    assert answer.json() == answer.headers["x-restate-id"]


def test_a_failures_metadata_reaches_the_caller(ingress: Ingress) -> None:
    assert ingress.call("Doomed/metadata_of_failure") == {"field": "amount"}
