"""Three nodes of the official engine on loopback, as a cluster: each log entry lies on two of them."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil

from tests.conformance.processes import REFERENCE_SERVER, EngineAddress, free_ports, running

NODES = 3
PARTITIONS = 6
READY_S = 90.0
"""Some 5 s, if the machine has nothing else to do."""


class Node:
    """One node. It can be killed and started again, with the data that it has."""

    def __init__(self, number: int, folder: Path, ports: list[int], metadata: list[str]) -> None:
        self.name = f"n{number}"
        self._folder = folder
        self._running = ExitStack()
        own, ingress, admin = ports
        self.address = EngineAddress(f"http://127.0.0.1:{ingress}", f"http://127.0.0.1:{admin}")
        self._own_url = f"http://127.0.0.1:{own}"
        self._settings = {
            "RESTATE_CLUSTER_NAME": "trial",
            "RESTATE_NODE_NAME": self.name,
            "RESTATE_FORCE_NODE_ID": str(number),
            "RESTATE_BASE_DIR": str(folder / self.name),
            "RESTATE_ROLES": json.dumps(["worker", "http-ingress", "admin", "metadata-server", "log-server"]),
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{own}",
            "RESTATE_ADVERTISED_ADDRESS": self._own_url,
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_METADATA_CLIENT__ADDRESSES": json.dumps(metadata),
            "RESTATE_AUTO_PROVISION": "true" if number == 1 else "false",
            "RESTATE_DEFAULT_REPLICATION": "2",
            "RESTATE_DEFAULT_NUM_PARTITIONS": str(PARTITIONS),
            "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "128 MiB",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RUST_LOG": "warn",
        }

    def start(self) -> None:
        """Returns when it takes calls, for which it needs one other node at least."""
        self._running.enter_context(
            running(
                [REFERENCE_SERVER, "--no-logo"],
                f"{self.address.ingress_url}/restate/health",
                self._folder / f"{self.name}.log",
                self._settings,
                stop=signal.SIGKILL,
                ready_s=READY_S,
            )
        )

    def kill(self) -> None:
        """`kill -9`, as at the end of the test."""
        self._running.close()

    def leads(self) -> int:
        """Of how many partitions this node runs the invocations."""
        metrics = httpx.get(f"{self._own_url}/metrics", timeout=10.0, trust_env=False).text
        values = [line.split()[-1] for line in metrics.splitlines() if line.startswith(_LEADING)]
        return sum(int(float(value)) for value in values)

    def memory_mib(self) -> int:
        """What it takes, of which no other process has a part."""
        found = [each for each in psutil.process_iter(["environ"]) if self._is_ours(each)]
        return sum(each.memory_full_info().uss for each in found) // 2**20

    def _is_ours(self, process: psutil.Process) -> bool:
        return (process.info["environ"] or {}).get("RESTATE_BASE_DIR") == self._settings["RESTATE_BASE_DIR"]


_LEADING = "restate_num_active_partition_leaders{"


@contextmanager
def cluster(folder: Path) -> Iterator[list[Node]]:
    """The nodes, once all of them take calls and some of them lead all partitions."""
    free = iter(free_ports(NODES * 3))
    ports = [[next(free) for _ in range(3)] for _ in range(NODES)]
    metadata = [f"http://127.0.0.1:{own}" for own, _, _ in ports]
    nodes = [Node(number, folder, each, metadata) for number, each in enumerate(ports, 1)]
    with ExitStack() as stack, ThreadPoolExecutor(NODES) as pool:
        for node in nodes:
            stack.callback(node.kill)
        list(pool.map(Node.start, nodes))
        yield nodes
