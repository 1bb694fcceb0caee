"""The workloads as perdure services, for `perdure up` and `perdure serve`."""

import perdure
from benchmarks.workloads import all_services

app = perdure.app(all_services(perdure))
