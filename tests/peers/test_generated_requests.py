"""Requests generated from both OpenAPI documents (`schemathesis`) get no 5xx, and no undescribed answer.

501 is an answer: it says what is not offered here.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conformance.processes import EngineAddress, our_engine

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "missing_required_header",
]
TIMEOUT_S = 280


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[EngineAddress]:
    with our_engine(tmp_path, "tests.peers.shop:app") as engine:
        yield engine


def no_violation(document_url: str, folder: Path, parameters: dict[str, str] | None = None) -> None:
    """`parameters`: what to ask about, else anything."""
    config = folder / "schemathesis.toml"
    config.write_text(
        "[checks.not_a_server_error]\n"
        'expected-statuses = ["1xx", "2xx", "3xx", "4xx", 501]\n'
        "[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in (parameters or {}).items())
    )
    done = subprocess.run(
        [
            SCHEMATHESIS, "--config-file", config, "run", document_url, "--checks", ",".join(CHECKS),
            "--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--no-shrink",
            "--generation-deterministic", "--request-timeout", "60", "--no-color",
            "--warnings", "off",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "perdure-up.log").read_text()[-4000:]


def test_the_ingress_answers_as_its_document_says(shop: EngineAddress, tmp_path: Path) -> None:
    no_violation(f"{shop.ingress_url}/openapi", tmp_path)


def test_the_admin_port_answers_as_its_document_says(shop: EngineAddress, tmp_path: Path) -> None:
    no_violation(f"{shop.admin_url}/openapi", tmp_path)


def test_the_admin_port_answers_as_its_document_says_of_what_is_there(shop: EngineAddress, tmp_path: Path) -> None:
    sent = httpx.post(
        f"{shop.ingress_url}/Cart/blue/put/send?delay=1h", json={"name": "pen", "amount": 2}, trust_env=False
    )
    deployments = httpx.get(f"{shop.admin_url}/deployments", trust_env=False).json()["deployments"]
    there = {
        "invocation_id": sent.json()["invocationId"],
        "deployment_id": deployments[0]["id"],
        "service": "Cart",
        "handler": "put",
        "operation": "cancel",
    }
    no_violation(f"{shop.admin_url}/openapi", tmp_path, there)
    left = httpx.get(f"{shop.admin_url}/invocations/{there['invocation_id']}", trust_env=False)
    assert left.status_code == 404 or left.json()["status"] == "completed", "no operation reached the invocation"
