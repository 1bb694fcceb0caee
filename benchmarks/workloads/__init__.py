"""The workloads, one file each; the table is what `--workloads` chooses from.

The services are written once, against the names that perdure and the official Restate SDK share, and get that
module as an argument: both systems run the very same handlers. This folder imports neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from . import counter, echo, fanout, router, steps10


@dataclass(frozen=True)
class Workload:
    """One request, sent over and over, and the services that answer it."""

    name: str
    path: str
    body: bytes
    services: Callable[[ModuleType], list[Any]]
    answer: bytes | None
    """What every answer must be; None where it differs from call to call."""
    connections_max: int = 128


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("echo", "/Echo/echo", b'"hello"', echo.services, b'"hello"'),
        Workload("router", "/Router/answer", b'"I was charged twice"', router.services, b'"billing: refunded"'),
        Workload("steps10", "/Steps/ten", b'"go"', steps10.services, b"45"),
        Workload("counter", "/Counter/hot/add", b"1", counter.services, None),
        Workload("fanout", "/Fanout/hundred", b'"go"', fanout.services, b"4950", connections_max=8),
    )
}


def all_services(sdk: ModuleType) -> list[Any]:
    """The services of every workload, made with `perdure` or with `restate`."""
    return [service for workload in WORKLOADS.values() for service in workload.services(sdk)]
