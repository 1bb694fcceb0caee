"""The workloads as services of the official Restate SDK, for hypercorn."""

import restate

from benchmarks.workloads import all_services

app = restate.app(all_services(restate))
