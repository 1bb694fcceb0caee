"""Runs a page's commands: servers as processes of their own, on free ports, everything else in bash."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from perdure.version import __version__
from tests.conformance.processes import NODE, NPM_MODULES, free_ports
from tests.docs.matching import Ids

TIMEOUT_S = 100.0
POLL_S = 0.02
DEFAULT_PORTS = {"up": (("--ingress-port", "8080"), ("--admin-port", "9070")), "serve": (("--port", "9080"),)}

_PORT = re.compile(r"(?<=:)(8080|9070|908\d|5122)\b")
_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d ")
_SERVER = re.compile(r"perdure (up|serve)\b(?!.* --help)|(restate-server) |(?:PORT=\d+ )?node \w+\.ts")
_READY = re.compile(r"^  services .*\n|SDK started listening", re.MULTILINE)
_LOOK = re.compile(r"(?:\w+=\S+ )?perdure \S+ (?:list|describe)\b.*|curl \S+|curl \S+/query .*")
_KILL = re.compile(r"pkill -9 -f '(?:perdure (up|serve)(?: [\w:]+)?|(node-name \w+))'")


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with what it is shown to print."""
    command: str | None = None
    output = ""
    for line in text.splitlines(keepends=True):
        if command is not None and command.endswith("\\\n"):
            command += line
        elif line.startswith(("$ ", "^C")):
            if command is not None:
                yield command.strip(), output
            command, output = line.removeprefix("$ "), ""
        else:
            assert command is not None, f"a console block begins with {line!r}, not with a command"
            output += line
    if command is not None:
        yield command.strip(), output


class Server:
    """`perdure up`, `perdure serve`, `restate-server` or `node`, with all that it prints in a file."""

    def __init__(self, kind: str, command: str, folder: Path, environment: dict[str, str], log: Path) -> None:
        self.kind = kind
        self.command = command
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    @property
    def printed(self) -> str:
        return self._log.read_text()

    def stop(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """With those that it has started: what npm calls restate-server starts the real one."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(TIMEOUT_S)


class Terminal:
    """The terminals of a page's reader: one folder, any number of servers, one command after the other."""

    def __init__(self, folder: Path, ids: Ids, environment: dict[str, str]) -> None:
        self._folder = folder
        self._ids = ids
        self._ports: dict[str, str] = {}
        self._servers: list[Server] = []
        self._environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "100"}
        path = (str(Path(sys.executable).parent), str(NODE.parent), os.environ["PATH"])
        self._environment["PATH"] = os.pathsep.join(path)
        self._environment["PERDURE_INGRESS_URL"] = f"http://127.0.0.1:{self._port('8080')}"
        self._environment["PERDURE_ADMIN_URL"] = f"http://127.0.0.1:{self._port('9070')}"
        self._environment["RESTATE_BIND_PORT"] = self._port("5122")
        self._environment["RESTATE_INGRESS__BIND_PORT"] = self._port("8080")
        self._environment["RESTATE_ADMIN__BIND_PORT"] = self._port("9070")
        self._environment["RESTATE_DISABLE_TELEMETRY"] = "true"

    def write(self, file: str, text: str) -> None:
        """Saves a file of the page, whose addresses become the real ones."""
        (self._folder / file).write_text(self._with_real_ports(text))

    def run(self, command: str, shown: str) -> None:
        """Runs a command; fails the test if it does not print what is shown, or fails where nothing is shown.

        A command that only looks is run again until it sees what is shown: a reader is slower than the engine.
        """
        real = self._ids.in_command(self._with_real_ports(command))
        if command == "^C":
            self._servers[-1].stop(signal.SIGINT)
        elif killed := _KILL.fullmatch(command):
            named = [each for each in self._servers if killed[2] and killed[2] in each.command]
            (named[-1] if named else self._latest(killed[1])).kill()
        elif served := _SERVER.match(command):
            self._serve(served[1] or served[2] or "node", real, shown)
        else:
            curl = "curl -sS " if shown.strip() else "curl -sS --fail-with-body "
            deadline = time.monotonic() + TIMEOUT_S
            done = self._run(real.replace("curl ", curl))
            while _LOOK.fullmatch(command) and not self._shows(shown, done.stdout) and time.monotonic() < deadline:
                time.sleep(POLL_S)
                done = self._run(real.replace("curl ", curl))
            if shown.strip():
                self._check(command, shown, done.stdout)
            elif done.returncode:
                pytest.fail(f"$ {command}\nends with {done.returncode}:\n{done.stdout}")

    def check_server(self, about: str, shown: str) -> None:
        """Waits until a server has printed what is shown; with `all`, it must have printed nothing else but its log."""
        kind, _, everything = about.partition(" ")
        server = self._latest(kind)
        if everything:
            said = [line for line in server.printed.splitlines() if not _LOG_LINE.match(line)]
            assert self._ids.matches(shown, self._as_shown("\n".join(said))), f"perdure {kind} has printed {said}"
            return
        deadline = time.monotonic() + TIMEOUT_S
        while not self._ids.matches(shown, self._as_shown(server.printed), anywhere=True):
            if time.monotonic() > deadline:
                pytest.fail(f"perdure {kind} has not printed\n{shown}\nbut\n{server.printed}")
            time.sleep(POLL_S)

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
        )

    def _serve(self, kind: str, command: str, shown: str) -> None:
        command = self._node(command) if kind == "node" else self._on_real_ports(kind, command)
        log = self._folder / f"{kind}-{len(self._servers)}.log"
        server = Server(kind, command, self._folder, self._environment, log)
        self._servers.append(server)
        if kind == "restate-server":  # a node is ready when others are
            return
        deadline = time.monotonic() + TIMEOUT_S
        while not _READY.search(server.printed):
            if server.process.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        if shown.strip():
            self._check(command, shown, server.printed, anywhere=server.process.poll() is None)  # beside its log
        else:
            assert server.process.poll() is None, f"$ {command}\nended:\n{server.printed}"

    def _on_real_ports(self, kind: str, command: str) -> str:
        for option, port in DEFAULT_PORTS.get(kind, ()):
            given = re.search(rf" {option} (\d+)", command)
            command = command.replace(given[0], "") if given else command
            command += f" {option} {self._port(given[1] if given else port)}"
        return command

    def _node(self, command: str) -> str:
        """A file of the page, which finds its modules, and its port in the environment."""
        modules = self._folder / "node_modules"
        if not modules.exists():
            modules.symlink_to(NPM_MODULES)
        given = re.match(r"PORT=(\d+) ", command)
        return f"env PORT={self._port(given[1] if given else '9080')} {command.removeprefix(given[0] if given else '')}"

    def _check(self, command: str, shown: str, printed: str, *, anywhere: bool = False) -> None:
        if not self._shows(shown, printed, anywhere=anywhere):
            pytest.fail(f"$ {command}\nis shown to print\n{shown}\nbut prints\n{self._as_shown(printed)}")

    def _shows(self, shown: str, printed: str, *, anywhere: bool = False) -> bool:
        return self._ids.matches(shown, self._as_shown(printed), anywhere=anywhere)

    def _as_shown(self, printed: str) -> str:
        """What was printed, with the ports that the page has."""
        for port, real in self._ports.items():
            printed = printed.replace(f":{real}", f":{port}")
        printed = printed.replace(f"perdure {__version__} ", "perdure 0.1.0 ")  # a release need not edit every page
        return printed.replace(str(self._folder), "/home/you/agents")

    def _latest(self, kind: str) -> Server:
        return next(server for server in reversed(self._servers) if server.kind == kind)

    def _with_real_ports(self, text: str) -> str:
        return _PORT.sub(lambda port: self._port(port[0]), text)

    def _port(self, port: str) -> str:
        if port not in self._ports:
            [free] = free_ports(1)
            self._ports[port] = str(free)
        return self._ports[port]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.kill()
