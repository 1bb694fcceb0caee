"""Between real processes: whose signatures each SDK takes, of which engine, and what refusals say."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from perdure.key_files import write_new_key
from perdure.protocol.identity import SigningKey
from tests.conformance.processes import (
    NODE,
    NPM_MODULES,
    EngineAddress,
    free_ports,
    official_endpoint,
    our_asgi_endpoint,
    our_engine,
    reference_engine,
    running,
)

SERVICES = "tests.conformance.identity_services:app"
WITHOUT_KEYS = "tests.conformance.identity_services:services"
TYPESCRIPT = Path(__file__).with_name("identity_services.mts")
DISCOVER, INVOKE = "/discover", "/invoke/Greeter/greet"
SOON_S = 60.0


# ---- endpoints that know some keys ----


@contextmanager
def served_by_us(folder: Path, keys: list[str], environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """`perdure serve --identity-key ...`, of services whose code names none."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    options = [part for key in keys for part in ("--identity-key", key)]
    command: list[str | Path] = [Path(sys.executable).with_name("perdure"), "serve", WITHOUT_KEYS, *options]
    with running([*command, "--port", str(port)], f"{url}/health", folder / "perdure-serve.log", environment):
        yield url


@contextmanager
def served_by_us_with_a_variable(folder: Path, keys: list[str]) -> Iterator[str]:
    with served_by_us(folder, [], {"PERDURE_IDENTITY_KEYS": ",".join(keys)}) as url:
        yield url


@contextmanager
def under_hypercorn(folder: Path, keys: list[str]) -> Iterator[str]:
    with our_asgi_endpoint(folder, SERVICES, {"IDENTITY_KEYS": " ".join(keys)}) as url:
        yield url


@contextmanager
def official_python(folder: Path, keys: list[str]) -> Iterator[str]:
    with official_endpoint(folder, SERVICES, {"IDENTITY_KEYS": " ".join(keys)}) as url:
        yield url


@contextmanager
def official_typescript(folder: Path, keys: list[str]) -> Iterator[str]:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    script = folder / TYPESCRIPT.name  # modules are looked for beside the file
    script.write_bytes(TYPESCRIPT.read_bytes())
    script.with_name("node_modules").symlink_to(NPM_MODULES)
    environment = {"PORT": str(port), "IDENTITY_KEYS": " ".join(keys)}
    with running([NODE, script], f"{url}/health", folder / "node.log", environment, http_2=True):
        yield url


OURS: dict[str, Callable[..., Any]] = {
    "ours-serve": served_by_us,
    "ours-variable": served_by_us_with_a_variable,
    "ours-hypercorn": under_hypercorn,
}
ENDPOINTS = OURS | {"python": official_python, "typescript": official_typescript}


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    write_new_key(path)
    return path


@pytest.fixture(scope="module")
def key(key_file: Path) -> SigningKey:
    return SigningKey.from_pem(key_file.read_bytes())


@pytest.fixture(scope="module", params=ENDPOINTS)
def endpoint(
    request: pytest.FixtureRequest, key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Knows the engines' key, and another one."""
    keys = [SigningKey.new().identity_key, key.identity_key]
    with ENDPOINTS[request.param](tmp_path_factory.mktemp(request.param), keys) as url:
        yield url


# ---- engines ----


@contextmanager
def signing_reference(folder: Path, key_file: Path) -> Iterator[EngineAddress]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE", str(key_file))
        with reference_engine(folder) as engine:
            yield engine


@contextmanager
def signing_engine(folder: Path, key_file: Path) -> Iterator[EngineAddress]:
    with our_engine(folder, "--request-identity-key", str(key_file)) as engine:
        yield engine


@pytest.fixture(
    scope="module", params={"our-engine": signing_engine, "reference": signing_reference}.items(), ids=lambda it: it[0]
)
def engine(
    request: pytest.FixtureRequest, key_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineAddress]:
    name, start = request.param
    with start(tmp_path_factory.mktemp(name), key_file) as address:
        yield address


def registration(engine: EngineAddress, url: str, *, http_11: bool = False) -> httpx.Response:
    body = {"uri": url, "use_http_11": http_11}
    return httpx.post(f"{engine.admin_url}/deployments", json=body, timeout=60.0, trust_env=False)


def call(engine: EngineAddress, path: str, argument: Any) -> Any:
    answer = httpx.post(f"{engine.ingress_url}/{path}", json=argument, timeout=60.0, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- signed by those who are known ----


def test_the_engines_requests_are_taken(engine: EngineAddress, endpoint: str) -> None:
    answer = registration(engine, endpoint)
    assert answer.status_code == 201, answer.text
    assert call(engine, "Greeter/greet", "Ada") == "hello Ada"
    assert call(engine, "Counter/a%20key%2F%C3%BC/add", 7) == "a key/ü: 7"


STRANGE_KEYS = ["100%41", "a%2Fb", "a+b & c=d?e#f", "\u65e5\u672c", "\U0001f600", "\"'\\{}", "-._~!*()", "e\u0301", " "]


def test_requests_are_for_the_key_that_they_are_signed_for_however_it_is_written(
    engine: EngineAddress, endpoint: str
) -> None:
    answer = registration(engine, endpoint)
    assert answer.status_code in (200, 201), answer.text
    for key in STRANGE_KEYS:
        assert call(engine, f"Counter/{quote(key, safe='')}/add", 1) == f"{key}: 1"


def test_under_a_prefix_and_over_http_1_too(key: SigningKey, engine: EngineAddress, tmp_path: Path) -> None:
    with under_hypercorn(tmp_path, [key.identity_key]) as url:
        answer = registration(engine, f"{url}/some/where", http_11=True)
        assert answer.status_code == 201, answer.text
        assert call(engine, "Greeter/greet", "Grace") == "hello Grace"


# ---- strangers ----


def asked(url: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
    wanted = {"accept": "application/vnd.restate.endpointmanifest.v3+json", **headers}
    with httpx.Client(http1=False, http2=True, timeout=60.0, trust_env=False) as client:
        if path == DISCOVER:
            return client.get(url + path, headers=wanted)
        content = {"content-type": "application/vnd.restate.invocation.v6"}
        return client.post(url + path, headers={**headers, **content}, content=b"")


def now_s() -> int:
    return int(time.time())


WRONG: dict[str, Callable[[SigningKey, str], dict[str, str]]] = {
    "unsigned": lambda key, path: {},
    "said-unsigned": lambda key, path: {"x-restate-signature-scheme": "unsigned"},
    "no-token": lambda key, path: {"x-restate-signature-scheme": "v1"},
    "garbage": lambda key, path: {"x-restate-signature-scheme": "v1", "x-restate-jwt-v1": "a.b.c"},
    "stale": lambda key, path: dict(key.headers(path, now_s() - 120)),
    "too-early": lambda key, path: dict(key.headers(path, now_s() + 120)),
    "foreign": lambda key, path: dict(SigningKey.new().headers(path, now_s())),
    "other-path": lambda key, path: dict(key.headers("/invoke/Greeter/other", now_s())),
}


@pytest.mark.parametrize("path", [DISCOVER, INVOKE])
def test_all_sdks_take_and_refuse_the_same(key: SigningKey, endpoint: str, path: str) -> None:
    """What ours refuses with 401, and nothing else, the official ones do too."""
    answers = {name: asked(endpoint, path, wrong(key, path)) for name, wrong in WRONG.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(WRONG, 401)
    assert asked(endpoint, DISCOVER, dict(key.headers(DISCOVER, now_s()))).status_code == 200
    with httpx.Client(http1=False, http2=True, timeout=60.0, trust_env=False) as client:
        assert client.get(f"{endpoint}/health").status_code == 200


@pytest.mark.parametrize("path", [DISCOVER, INVOKE])
def test_ours_says_why(key: SigningKey, tmp_path: Path, path: str) -> None:
    with served_by_us(tmp_path, [key.identity_key]) as url:
        said = {name: asked(url, path, wrong(key, path)).json()["message"] for name, wrong in WRONG.items()}
    for name, reason in {
        "unsigned": "is not signed",
        "said-unsigned": "is not signed",
        "no-token": "has no x-restate-jwt-v1",
        "garbage": "no JSON web token",
        "stale": "expired",
        "too-early": "begins to be valid in",
        "foreign": "not signed by an engine that this service knows",
        "other-path": "was signed for",
    }.items():
        assert reason in said[name], name


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EngineAddress, EngineAddress, str]]:
    """An engine without a key, and one with a key that nobody knows, which is the third."""
    folder = tmp_path_factory.mktemp("strange")
    strange = write_new_key(folder / "key.pem").identity_key
    with our_engine(tmp_path_factory.mktemp("plain")) as plain, signing_engine(folder, folder / "key.pem") as foreign:
        yield plain, foreign, strange


def test_whoever_registers_is_told_what_to_do(
    endpoint: str, strangers: tuple[EngineAddress, EngineAddress, str], request: pytest.FixtureRequest
) -> None:
    plain, foreign, strange = strangers
    unsigned, unknown = (registration(engine, endpoint) for engine in (plain, foreign))
    assert (unsigned.status_code, unknown.status_code) == (400, 400)
    assert f"{endpoint}/discover answered 401" in unsigned.json()["message"]
    assert "start this engine with `--request-identity-key`" in unsigned.json()["message"]
    assert f"This engine signs as {strange}: is that one of" in unknown.json()["message"]
    if request.node.callspec.params["endpoint"] in OURS:  # the official ones refuse without a word
        assert "the request is not signed" in unsigned.json()["message"]
        assert "not signed by an engine that this service knows" in unknown.json()["message"]


def test_the_real_server_passes_our_reason_on(key: SigningKey, tmp_path: Path) -> None:
    with served_by_us(tmp_path, [key.identity_key]) as url, reference_engine(tmp_path) as engine:
        answer = registration(engine, url)
    assert answer.status_code >= 400
    assert "401" in answer.json()["message"]
    assert "the request is not signed" in answer.json()["message"]


# ---- a key that changes under running work ----


def test_work_that_is_refused_waits_with_the_reason_and_goes_on_once_the_key_is_right(
    key: SigningKey, key_file: Path, tmp_path: Path
) -> None:
    with served_by_us(tmp_path, [key.identity_key]) as url:
        with signing_engine(tmp_path, key_file) as engine:
            assert registration(engine, url).status_code == 201
        with our_engine(tmp_path) as engine:
            sent = httpx.post(f"{engine.ingress_url}/Greeter/greet/send", json="Ada", trust_env=False)
            invocation_id = sent.json()["invocationId"]
            failure = _last_failure(engine, invocation_id)
        assert "401" in failure
        assert "the request is not signed" in failure
        assert "--request-identity-key" in failure
        with signing_engine(tmp_path, key_file) as engine:
            attached = httpx.get(
                f"{engine.ingress_url}/restate/invocation/{invocation_id}/attach", timeout=30.0, trust_env=False
            )
        assert attached.json() == "hello Ada"


def _last_failure(engine: EngineAddress, invocation_id: str) -> str:
    query = f"select last_failure from sys_invocation where id = '{invocation_id}'"
    deadline = time.monotonic() + SOON_S
    while time.monotonic() < deadline:
        answer = httpx.post(
            f"{engine.admin_url}/query", json={"query": query}, headers={"accept": "application/json"}, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        for row in answer.json()["rows"]:
            if "last_failure" in row:  # where there is none yet, it is left out
                return row["last_failure"]
        time.sleep(0.1)
    raise AssertionError(f"{invocation_id} did not fail within {SOON_S} s")
