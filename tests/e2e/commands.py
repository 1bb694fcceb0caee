"""Commands as users start them: real processes, with their banner and log at hand."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

import pytest

PERDURE = str(Path(sys.executable).with_name("perdure"))
TIMEOUT_S = 300


class Command:
    """A serving command that runs. `lines` of its banner are there once it is ready."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [PERDURE, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.log: list[str] = []
        self.banner: dict[str, str] = {}
        self._log_reader = threading.Thread(target=self._read_log, daemon=True)
        self._log_reader.start()
        self._deadline = threading.Timer(TIMEOUT_S, self.process.kill)
        self._deadline.start()

    def ready(self) -> "Command":
        """Waits for the last line of the banner."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("  "):
                name, value = line.split(maxsplit=1)
                self.banner[name] = value.strip()
            if line.startswith("  services"):
                return self
        pytest.fail(f"ended with {self.process.wait()} before it was ready: {''.join(self.log)}")

    def stop(self, *signals: signal.Signals) -> int:
        for number in signals or (signal.SIGTERM,):
            self.process.send_signal(number)
        code = self.process.wait(TIMEOUT_S)
        self._log_reader.join(TIMEOUT_S)
        return code

    def stopped_log(self) -> list[str]:
        """All of the log, once the process has ended."""
        self._log_reader.join(TIMEOUT_S)
        return self.log

    def logged(self, text: str) -> bool:
        return any(text in line for line in self.log)

    def close(self) -> None:
        self._deadline.cancel()
        self.process.kill()
        self.process.wait()
        self._log_reader.join()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(iter(self.process.stderr.readline, ""))


class Start(Protocol):
    def __call__(self, *arguments: str) -> Command: ...


class Run(Protocol):
    def __call__(self, *arguments: str, engine: Command | None = None) -> subprocess.CompletedProcess[str]: ...
