"""Which threads a process waits for at its end."""

import sys
import threading
import time
from pathlib import Path

import pytest

from perdure.http_threads import is_any_busy


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell")
def test_a_thread_of_the_http_client_that_runs_is_waited_for() -> None:
    may_rest, may_end, rests = threading.Event(), threading.Event(), threading.Event()

    def run() -> None:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("tokio-rt-worker")
        while not may_rest.is_set():
            sum(range(1000))
        rests.set()
        may_end.wait()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        _wait_until(busy=True)
        may_rest.set()
        rests.wait()
        _wait_until(busy=False)
    finally:
        may_rest.set()
        may_end.set()
        thread.join()


def _wait_until(*, busy: bool) -> None:
    deadline_s = time.monotonic() + 60
    while is_any_busy() is not busy:
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
