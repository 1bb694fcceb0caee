"""Turns measurements into the tables: each system beside the peers, as ratios, and the targets beside what came."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .load import Seen

PEER, LIMIT = "restate", "bare"


@dataclass(frozen=True)
class Measurement:
    """One system under one workload with so many connections."""

    system: str
    workload: str
    connections: int
    seen: Seen
    cpu_us: float
    """Processor time of the system's processes for one request."""


@dataclass(frozen=True)
class Target:
    """A ratio to reach: `system` against the peer, for the router."""

    words: str
    reached: float
    wanted: float
    lower_is_better: bool = False

    @property
    def met(self) -> bool:
        return self.reached <= self.wanted if self.lower_is_better else self.reached >= self.wanted


def save(measured: Sequence[Measurement], path: Path) -> None:
    """Keep every measurement of the last run."""
    path.write_text(json.dumps([asdict(measurement) for measurement in measured], indent=1))


def print_report(measured: Sequence[Measurement]) -> None:
    """Print a table for each workload and number of connections, then the targets."""
    console = Console(width=120)
    medians = _medians(measured)
    for workload in dict.fromkeys(workload for _, workload, _ in medians):
        console.print(_table(medians, workload))
    for target in _targets(medians):
        console.print(
            f"{'met' if target.met else 'MISSED':7} {target.words}: {target.reached:.2f}, wanted "
            f"{'at most' if target.lower_is_better else 'at least'} {target.wanted:.2f}"
        )


Medians = dict[tuple[str, str, int], Measurement]


def _medians(measured: Iterable[Measurement]) -> Medians:
    rounds: dict[tuple[str, str, int], list[Measurement]] = {}
    for one in measured:
        rounds.setdefault((one.system, one.workload, one.connections), []).append(one)
    middle: Medians = {}
    for key, of_key in rounds.items():
        throughput = statistics.median_low([one.seen.throughput for one in of_key])
        middle[key] = next(one for one in of_key if one.seen.throughput == throughput)
    return middle


def _table(medians: Medians, workload: str) -> Table:
    table = Table(title=workload, title_justify="left", title_style="bold")
    table.add_column("system", no_wrap=True)
    headings = (
        "conns",
        "/s",
        "p50 ms",
        "p99 ms",
        "cpu µs",
        f"/s ÷ {PEER}",
        f"p50 ÷ {PEER}",
        f"/s ÷ {LIMIT}",
        "errors",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    for connections in sorted({count for _, name, count in medians if name == workload}):
        peer, limit = (medians.get((name, workload, connections)) for name in (PEER, LIMIT))
        for one in medians.values():
            if (one.workload, one.connections) == (workload, connections):
                table.add_row(*_cells(one, peer and peer.seen, limit and limit.seen))
        table.add_section()
    return table


def _cells(one: Measurement, peer: Seen | None, limit: Seen | None) -> Sequence[str]:
    seen = one.seen
    return (
        one.system,
        str(one.connections),
        f"{seen.throughput:.0f}" if seen.throughput >= 10 else f"{seen.throughput:.1f}",
        f"{seen.p50_ms:.2f}",
        f"{seen.p99_ms:.2f}",
        f"{one.cpu_us:.0f}",
        _ratio(seen.throughput, peer and peer.throughput),
        _ratio(seen.p50_ms, peer and peer.p50_ms),
        _ratio(seen.throughput, limit and limit.throughput),
        str(seen.errors),
    )


def _ratio(value: float, against: float | None) -> str:
    return f"{value / against:.2f}" if against else "-"


def _targets(medians: Medians) -> Iterable[Target]:
    """The aims of the project, as far as this run can tell."""
    most = max((count for _, workload, count in medians if workload == "router"), default=0)

    def of(system: str, connections: int) -> Seen | None:
        found = medians.get((system, "router", connections))
        return found and found.seen

    embedded, remote, peer = of("perdure embedded", most), of("perdure remote", most), of(PEER, most)
    if embedded and peer:
        yield Target(f"router/s, embedded ÷ {PEER}", embedded.throughput / peer.throughput, 5.0)
    if remote and peer:
        yield Target(f"router/s, remote ÷ {PEER}", remote.throughput / peer.throughput, 2.0)
    embedded, peer, limit = of("perdure embedded", 1), of(PEER, 1), of(LIMIT, 1)
    if embedded and peer and limit:
        wanted = max(peer.p50_ms / 4, limit.p50_ms * 2)
        yield Target(f"router p50 ms, embedded (¼ {PEER} or 2 {LIMIT})", embedded.p50_ms, wanted, lower_is_better=True)
