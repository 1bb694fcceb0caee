"""Records what the official Python SDK and the reference server say to each other, for the golden tests.

    .venv/bin/python -m tests.conformance.record [folder]

Needs what `make test` installs. Writes one file for each protocol version and HTTP version, an attempt a line: the
bytes of both directions as hex, in the pieces in which they came.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.conformance.processes import EngineAddress, official_endpoint, reference_engine, register

GOLDEN = Path(__file__).parents[1] / "unit/protocol/golden"

CALLS: list[tuple[str, object]] = [
    ("Plain/echo", "hello"),
    ("Plain/nothing", None),
    ("Plain/fails", 409),
    ("Plain/steps", 2),
    ("Plain/step_fails_for_good", "no"),
    ("Plain/step_fails_twice", "twice"),
    ("Plain/step_gives_up", "up"),
    ("Plain/handler_fails_once", "once"),
    ("Plain/random_values", None),
    ("Plain/nap", 10),
    ("Plain/calls", "hello"),
    ("Plain/calls_what_fails", 409),
    ("Plain/gathers", [10, 40]),
    ("Plain/selects", None),
    ("Plain/sends", "s"),
    ("Plain/sends_later", "l"),
    ("Plain/calls_with_idempotency_key", "i"),
    ("Plain/attaches", 20),
    ("Plain/cancels", None),
    ("Plain/awakeable_by_handler", "resolve"),
    ("Plain/awakeable_by_handler", "reject"),
    ("Plain/signalled", "resolve"),
    ("Plain/signalled", "reject"),
    ("Ledger/k/add", 1),
    ("Ledger/k/total", None),
    ("Ledger/k/tour", None),
    ("LazyLedger/k/add", 1),
    ("LazyLedger/k/tour", None),
    ("Mailbox/k/put", "letter"),
    ("Mailbox/k/peek", None),
]


def main(golden: Path) -> None:
    golden.mkdir(parents=True, exist_ok=True)
    for version in (5, 6, 7):
        with tempfile.TemporaryDirectory(prefix="perdure-record-") as folder:
            _record(Path(folder), golden, version)


def _record(folder: Path, golden: Path, version: int) -> None:
    with reference_engine(folder, version=version) as engine:
        for name, http_11 in (("h2", False), ("h1", True)):
            recording = folder / f"{name}.jsonl"
            env = {"RECORDING_FILE": str(recording), "CONFORMANCE_VERSION": str(version)}
            with official_endpoint(folder, "tests.conformance.recording:app", env) as url:
                register(engine, url, http_11=http_11)
                _drive(engine, name)
            attempts = [json.loads(line) for line in recording.read_text().splitlines()]
            lines = ",\n".join(json.dumps(attempt) for attempt in attempts)
            (golden / f"v{version}-{name}.json").write_text(f"[\n{lines}\n]\n")


def _drive(engine: EngineAddress, key: str) -> None:
    """Sends all the calls; what comes back is the conformance tests' business."""
    with httpx.Client(base_url=engine.ingress_url, timeout=60.0, trust_env=False) as ingress:

        def call(path: str, argument: object) -> httpx.Response:
            return ingress.post(path, **({} if argument is None else {"json": argument}))

        for path, argument in CALLS:
            call(path.replace("/k/", f"/{key}/"), argument)
        call(f"Approval/{key}/run/send", "claim")
        for path, argument in (("state_of", None), ("decide", "yes"), ("decide", "no"), ("state_of", None)):
            call(f"Approval/{key}/{path}", argument)
        ingress.get(f"restate/workflow/Approval/{key}/attach").raise_for_status()

        sent = call("Plain/tells_when_cancelled/send", key).json()
        while call(f"Mailbox/{key}/peek", None).json() != "started":
            time.sleep(0.05)
        cancel = f"{engine.admin_url}/invocations/{sent['invocationId']}/cancel"
        httpx.patch(cancel, trust_env=False).raise_for_status()
        assert ingress.get(f"restate/invocation/{sent['invocationId']}/attach").status_code == 200


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN)
