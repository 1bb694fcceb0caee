"""The demo's processes: `perdure up` and `perdure serve`, started as a user would start them.

Everything lives in one temporary folder: the store, and what each process logs.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import perdure
from perdure.errors import PerdureError

READY_S = 60.0
_PERDURE = ["-c", "from perdure.cli.app import main; main()"]


class StageError(PerdureError):
    """A process of the demo did not start, or the engine did not answer."""


class Actor:
    """One process, ready. `addresses` are those of its banner."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str], python: str | Path) -> None:
        self.command = " ".join(["perdure", *command])
        self._log = log
        with log.open("ab") as output:
            start = output.tell()
            self.process = subprocess.Popen(
                [python, *_PERDURE, *command], cwd=examples_folder(), stdout=output, stderr=output, env=environment
            )
        self.addresses = self._wait_for_banner(start)

    def stop(self) -> None:
        """Asks it to end, and waits."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """kill -9: it gets no chance to say or write anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _wait_for_banner(self, start: int) -> dict[str, str]:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            said = self._log.read_bytes()[start:].decode(errors="replace").splitlines()
            banner = dict(line.split(maxsplit=1) for line in said if line.startswith("  ") and len(line.split()) > 1)
            if "services" in banner:  # the banner's last line
                return banner
            if self.process.poll() is not None:
                raise StageError(f"`{self.command}` ended with {self.process.returncode}: {' '.join(said)}")
            time.sleep(0.02)
        self.kill()
        raise StageError(f"`{self.command}` was not ready within {READY_S:.0f} s; its log is {self._log}")


class Stage:
    """Starts actors, and ends them all on leaving."""

    def __init__(self, folder: Path, model_url: str, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.database = folder / "store" / "perdure.db"
        self._environment = {**os.environ, "OPENAI_BASE_URL": model_url, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._actors: list[Actor] = []

    def up(self, ingress_port: int, admin_port: int, *modules: str) -> Actor:
        """The engine on these ports, with examples in its own process or alone."""
        store = ["--data-dir", str(self.database.parent)]
        ports = ["--ingress-port", str(ingress_port), "--admin-port", str(admin_port)]
        return self._start("engine", ["up", *modules, *ports, *store])

    def serve(self, *modules: str, port: int = 0, python: str | Path = sys.executable) -> Actor:
        """Examples, as one deployment: modules such as `remote_agents.router:app`; `python` is of the environment."""
        return self._start(modules[0].removesuffix(":app"), ["serve", *modules, "--port", str(port)], python)

    def register(self, engine: Actor, deployment: Actor) -> None:
        """Tells the engine where a deployment is, as `perdure deployments register` does."""
        body = json.dumps({"uri": deployment.addresses["endpoint"], "force": True}).encode()
        request = Request(f"{engine.addresses['admin']}/deployments", body, {"content-type": "application/json"})
        try:
            urlopen(request, timeout=READY_S).close()
        except HTTPError as refused:
            raise StageError(f"`{deployment.command}` was not registered: {refused.read().decode()}") from refused

    def _start(self, name: str, command: list[str], python: str | Path = sys.executable) -> Actor:
        actor = Actor(command, self.folder / f"{name}.log", self._environment, python)
        self._actors.append(actor)
        return actor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for actor in reversed(self._actors):
            if actor.process.poll() is None:
                actor.stop()


def examples_folder() -> Path:
    """The examples: part of the package where it was built, beside `src` in a checkout."""
    package = Path(perdure.__file__).parent
    installed = package / "examples"
    return installed if installed.is_dir() else package.parents[1] / "examples"


def port_or_free(wanted: int) -> int:
    """The port that documentation names, where it is to be had; else any."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StageError("no port is free")
