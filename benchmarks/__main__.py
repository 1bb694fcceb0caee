"""Runs workloads on systems and prints the ratios: `python -m benchmarks --help`."""

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

from .load import measure
from .processes import REPOSITORY
from .report import Measurement, print_report, save
from .systems import SYSTEMS, System
from .workloads import WORKLOADS, Workload


async def run_system(
    system: System, workloads: list[Workload], connections: list[int], seconds: float, folder: Path
) -> list[Measurement]:
    """Start the system once, run each workload at each number of connections."""
    measured: list[Measurement] = []
    async with system.start(folder) as running:
        for workload in workloads:
            if workload.name in system.lacks:
                continue
            for count in dict.fromkeys(min(count, workload.connections_max) for count in connections):
                cpu_s = running.processes.cpu_s()
                seen = await measure(
                    running.ingress_url + workload.path,
                    workload.body,
                    workload.answer,
                    connections=count,
                    seconds=seconds,
                    warm_up_s=0.3 * seconds,
                )
                cpu_us = (running.processes.cpu_s() - cpu_s) * 1e6 / max(1, seen.answered)
                measured.append(Measurement(system.name, workload.name, count, seen, cpu_us))
                print(f"  {workload.name:8} {count:4} connections  {seen.throughput:9.0f}/s  p50 {seen.p50_ms:.2f} ms")
                if seen.errors:
                    print(f"  {seen.errors} errors: {'; '.join(seen.examples)}")
    return measured


async def run(options: argparse.Namespace) -> list[Measurement]:
    """Each round runs every system once, so that a noisy minute does not hit one alone."""
    workloads = [WORKLOADS[name] for name in options.workloads]
    measured: list[Measurement] = []
    for round in range(options.rounds):
        for name in options.systems:
            print(f"{name}, round {round + 1} of {options.rounds}", flush=True)
            folder = Path(tempfile.mkdtemp(prefix="perdure-benchmark-", dir=options.folder))
            try:
                measured += await run_system(SYSTEMS[name], workloads, options.connections, options.seconds, folder)
            finally:
                shutil.rmtree(folder)
    return measured


def main() -> None:
    """Read the command line, run, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="NAME")
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 128])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement, after a warm-up of 0.3 of it")
    parser.add_argument("--rounds", type=int, default=1, help="the median round is shown")
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / ".cache", help="where the stores lie: the disk measured"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    measured = asyncio.run(run(options))
    save(measured, REPOSITORY / ".cache" / "benchmarks.json")
    print_report(measured)


if __name__ == "__main__":
    main()
