"""The processes that the conformance tests run: engines and service endpoints, ours and the official ones."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
from msgspec import Struct

ROOT = Path(__file__).parents[2]
PEERS_PYTHON = Path(os.environ.get("PERDURE_PEERS_PYTHON", ROOT / ".cache/peers/bin/python"))
NPM_MODULES = Path(os.environ.get("PERDURE_NPM", ROOT / ".cache/npm")) / "node_modules"
REFERENCE_SERVER = Path(os.environ.get("PERDURE_REFERENCE_SERVER", NPM_MODULES / ".bin/restate-server"))
NODE = NPM_MODULES / ".bin/node"  # the machine's own may be too old for the official SDK
SERVICES = "tests.conformance.app:app"
ANNOUNCING = "tests.conformance.announcing:app"
TYPESCRIPT = Path(__file__).with_name("typescript")
READY_S = 60.0
STOP_S = 30.0


class EngineAddress(Struct, frozen=True):
    """Where an engine is reached."""

    ingress_url: str
    admin_url: str


def free_ports(count: int) -> list[int]:
    """Ports below those that connections are given, so that nobody has one while its process is down.

    Not by the seed of a test: workers that run at the same time would take the same ones.
    """
    chance = random.SystemRandom()
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", chance.randrange(12_000, 32_000)))
            except OSError:
                continue
            ports.append(listener.getsockname()[1])
        return ports


@contextmanager
def running(
    command: list[str | Path],
    ready_url: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
    http_2: bool = False,
    ready_s: float = READY_S,
) -> Iterator[None]:
    """A process and its children, once `ready_url` answers 200; stopped at the end. Its output goes to `log`.

    `http_2` asks a server that speaks nothing else.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            env=environment, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
    try:
        _await_ready(process, ready_url, log, http_2, ready_s)
        yield
    finally:
        _stop(process, stop)


def _stop(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, stop)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise AssertionError(f"{process.args} did not stop within {STOP_S} s of {stop.name}") from None


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path, http_2: bool, ready_s: float) -> None:
    deadline = time.monotonic() + ready_s
    with httpx.Client(http1=not http_2, http2=http_2, timeout=2.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise AssertionError(f"{url} did not come up:\n{log.read_text(errors='replace')[-4000:]}")


@contextmanager
def reference_engine(folder: Path, *, version: int = 7) -> Iterator[EngineAddress]:
    """The real restate-server; it takes version 6 of the protocol unless asked for 7."""
    node, ingress, admin = free_ports(3)
    config = folder / "restate.toml"
    config.write_text(
        f"""
base-dir = "{folder / "restate-data"}"
node-name = "one"
cluster-name = "conformance"
listen-mode = "tcp"
bind-ip = "127.0.0.1"
bind-port = {node}
advertised-host = "127.0.0.1"
default-num-partitions = 1
disable-telemetry = true
rocksdb-total-memory-size = "128 MiB"
experimental-enable-protocol-v7 = {"true" if version >= 7 else "false"}
[ingress]
bind-port = {ingress}
[admin]
bind-port = {admin}
"""
    )
    address = EngineAddress(f"http://127.0.0.1:{ingress}", f"http://127.0.0.1:{admin}")
    command: list[str | Path] = [REFERENCE_SERVER, "--no-logo", "--config-file", config]
    # Its own shutdown takes many seconds, and its data goes with the folder.
    with running(command, f"{address.ingress_url}/restate/health", folder / "restate.log", stop=signal.SIGKILL):
        yield address


@contextmanager
def our_engine(folder: Path, *modules: str) -> Iterator[EngineAddress]:
    """`perdure up`, with the services of `modules` embedded."""
    ingress, admin = free_ports(2)
    address = EngineAddress(f"http://127.0.0.1:{ingress}", f"http://127.0.0.1:{admin}")
    command: list[str | Path] = [
        _beside_python("perdure"), "up", *modules, "--ingress-port", str(ingress), "--admin-port", str(admin),
        "--data-dir", folder / "data",
    ]  # fmt: skip
    with running(command, f"{address.ingress_url}/restate/health", folder / "perdure-up.log"):
        yield address


@contextmanager
def our_endpoint(folder: Path, module: str = SERVICES, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """The services on our SDK under `perdure serve`; gives the endpoint's address."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [_beside_python("perdure"), "serve", module, "--port", str(port)]
    with running(command, f"{url}/health", folder / "perdure-serve.log", env):
        yield url


@contextmanager
def official_endpoint(
    folder: Path,
    module: str = SERVICES,
    env: Mapping[str, str] | None = None,
    keep_alive_requests_max: int = 1_000_000,
) -> Iterator[str]:
    """The services on the official Python SDK, served by hypercorn; gives the endpoint's address."""
    environment = {"CONFORMANCE_SDK": "restate", **(env or {})}
    with _hypercorn(PEERS_PYTHON, folder, module, environment, keep_alive_requests_max) as url:
        yield url


@contextmanager
def official_endpoint_on_granian(folder: Path) -> Iterator[str]:
    """The services on the official Python SDK, served by granian."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [
        PEERS_PYTHON, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port), SERVICES,
    ]  # fmt: skip
    log = folder / "granian.log"
    with running(command, f"{url}/health", log, {"CONFORMANCE_SDK": "restate"}, stop=signal.SIGKILL):
        yield url


@contextmanager
def typescript_endpoint(folder: Path, *, http_11: bool = False, version: int = 7) -> Iterator[str]:
    """The services on the official TypeScript SDK: request and response over HTTP/1.1, else both directions at once."""
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    sources = shutil.copytree(TYPESCRIPT, folder / "typescript")
    (sources / "node_modules").symlink_to(NPM_MODULES)  # modules are looked for beside the files
    env = {"PORT": str(port), "HTTP_VERSION": "1.1" if http_11 else "2", "CONFORMANCE_VERSION": str(version)}
    with running([NODE, sources / "app.mts"], f"{url}/health", folder / "node.log", env, http_2=not http_11):
        yield url


@contextmanager
def our_asgi_endpoint(folder: Path, module: str = SERVICES, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """The services on our SDK, served by hypercorn as well."""
    with _hypercorn(Path(sys.executable), folder, module, env or {}) as url:
        yield url


@contextmanager
def _hypercorn(
    python: Path, folder: Path, module: str, env: Mapping[str, str], keep_alive_requests_max: int = 1_000_000
) -> Iterator[str]:
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    config = folder / "hypercorn.toml"
    config.write_text(f'bind = ["127.0.0.1:{port}"]\nkeep_alive_max_requests = {keep_alive_requests_max}\n')
    command: list[str | Path] = [python, "-m", "hypercorn", "--config", config, module]
    # Hypercorn waits for the streams that an engine keeps open; nothing here is worth that wait.
    with running(command, f"{url}/health", folder / "hypercorn.log", env, stop=signal.SIGKILL):
        yield url


def register(engine: EngineAddress, endpoint_url: str, *, http_11: bool = False) -> None:
    """Tells an engine of an endpoint."""
    body = {"uri": endpoint_url, "use_http_11": http_11}
    answer = httpx.post(f"{engine.admin_url}/deployments", json=body, timeout=60.0, trust_env=False)
    assert answer.status_code == 201, f"registration: {answer.status_code} {answer.text}"


def _beside_python(command: str) -> Path:
    return Path(sys.executable).parent / command
