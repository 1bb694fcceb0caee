"""Starts the processes of a system, waits until they answer, adds up what they use, ends them."""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil

REPOSITORY = Path(__file__).parent.parent
READY_S_MAX = 60.0
ENDED_S_MAX = 15.0


def free_port() -> int:
    """A port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """The processes of one system; each in a group of its own, its output in a file of the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[asyncio.subprocess.Process] = []

    async def start(self, *command: str | Path, env: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        """Start one; it sees our environment and `env`."""
        log = self.folder / f"{len(self._started)}-{Path(command[0]).name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **(env or {})},
                cwd=REPOSITORY,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    @property
    def newest(self) -> asyncio.subprocess.Process:
        """The one that was started last."""
        return self._started[-1]

    async def ready(self, url: str) -> None:
        """Wait until a GET of `url` answers 200.

        Raises:
            RuntimeError: it does not, or a process ended; the message holds what they printed.
        """
        deadline = time.monotonic() + READY_S_MAX
        while not await asyncio.to_thread(_answers, url):
            if self.newest.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{url} does not answer\n{self._printed()}")
            await asyncio.sleep(0.02)

    def cpu_s(self) -> float:
        """Processor time that they and their children have used."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def rss_bytes(self) -> int:
        """Memory that they and their children hold now."""
        return sum(process.memory_info().rss for process in self._all())

    async def end(self) -> None:
        """Ask all to stop, last started first; kill what does not."""
        for process in reversed(self._started):
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), ENDED_S_MAX)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def _all(self) -> Sequence[psutil.Process]:
        running = [psutil.Process(process.pid) for process in self._started if process.returncode is None]
        return [*running, *[child for process in running for child in process.children(recursive=True)]]

    def _printed(self) -> str:
        return "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in sorted(self.folder.glob("*.log")))


@contextlib.asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[Processes]:
    """Processes that end with the block; their output lies in the folder, which must exist."""
    group = Processes(folder)
    try:
        yield group
    finally:
        await group.end()


def post(url: str, body: bytes) -> bytes:
    """POST JSON, as a client that is in no hurry."""
    request = Request(url, data=body, headers={"content-type": "application/json"})
    with urlopen(request, timeout=READY_S_MAX) as response:
        return response.read()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as response:
            return response.status == 200
    except (URLError, OSError):
        return False
