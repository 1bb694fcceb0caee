"""The CLI as a client: what it asks, and how it says that nobody or an error answers."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from perdure.cli.remote import ADMIN, INGRESS, AskAgain, EngineUnreachable, RequestRefused
from perdure.errors import UsageError


class _Answers(BaseHTTPRequestHandler):
    """Answers `/echo` with what came, `/refuse` and `/busy` with the open interface's error, `/break` not at all."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/break"):
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status = 404 if self.path.endswith("/refuse") else 429 if self.path.endswith("/busy") else 200
        answer = b'{"code": 404, "message": "no A/b in any deployment."}' if status != 200 else body
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answers) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{http.server_port}"
        monkeypatch.setenv("PERDURE_INGRESS_URL", url)
        monkeypatch.setenv("PERDURE_ADMIN_URL", f"{url}/behind/a/proxy/")
        yield url
        http.shutdown()
        thread.join()


@pytest.mark.usefixtures("server")
def test_json_goes_both_ways_under_any_prefix() -> None:
    assert ADMIN.ask_json("POST", "/echo", {"uri": "http://ü"}) == {"uri": "http://ü"}


@pytest.mark.usefixtures("server")
def test_an_empty_answer_is_none() -> None:
    assert ADMIN.ask_json("POST", "/echo") is None


@pytest.mark.usefixtures("server")
def test_a_refusal_carries_the_engines_own_words() -> None:
    with pytest.raises(RequestRefused, match=r"^no A/b in any deployment\.$") as refused:
        INGRESS.ask("POST", "/refuse")
    assert not isinstance(refused.value, AskAgain)


@pytest.mark.usefixtures("server")
def test_a_refusal_that_may_pass_is_told_apart() -> None:
    with pytest.raises(AskAgain):
        INGRESS.ask("POST", "/busy")


def test_a_broken_connection_is_said(server: str) -> None:
    with pytest.raises(EngineUnreachable, match=f"the connection to {server} broke before the answer came"):
        INGRESS.ask("POST", "/break")


def test_nobody_listening_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("PERDURE_ADMIN_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(EngineUnreachable, match=r"connection refused.*`perdure up` starts one, PERDURE_ADMIN_URL"):
        ADMIN.ask("GET", "/health")


@pytest.mark.parametrize("url", ["localhost:9070", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_address_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PERDURE_ADMIN_URL", url)
    with pytest.raises(UsageError, match="PERDURE_ADMIN_URL must be a URL"):
        ADMIN.ask("GET", "/health")


@pytest.mark.usefixtures("server")
def test_a_header_may_be_any_text_but_what_would_break_the_request() -> None:
    assert INGRESS.ask("POST", "/echo", b"x", {"idempotency-key": "ä日"}) == b"x"
    with pytest.raises(UsageError, match="header"):
        INGRESS.ask("POST", "/echo", b"x", {"idempotency-key": "a\nb"})
