"""What the services have noted, and what must not be in there."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.services import STEPS


class Diary:
    """Lines of `services.note`, in the order in which they were written."""

    def __init__(self, file: Path) -> None:
        self._lines = [line.split() for line in file.read_text().splitlines()]

    @property
    def attempts(self) -> Counter[str]:
        """How many each job had."""
        return Counter(job for what, _, job, *_ in self._lines if what == "began")

    @property
    def runs(self) -> Counter[tuple[str, int]]:
        """How often each step of each job ran."""
        return Counter((job, int(rest[0])) for what, _, job, *rest in self._lines if what == "ran")

    def contradictions(self) -> Iterator[str]:
        """Steps that were run again, or had another result, after their result was recorded."""
        recorded: dict[tuple[str, str], str] = {}
        known_to: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)  # by attempt: what it must not run
        for what, attempt, job, *rest in self._lines:
            if what == "began":
                known_to[attempt] = {step for step in recorded if step[0] == job}
                continue
            step, token = (job, rest[0]), rest[1]
            if what == "ran" and step in known_to[attempt]:
                yield f"step {rest[0]} of {job} ran again after it was recorded"
            elif what == "saw" and recorded.setdefault(step, token) != token:
                yield f"step {rest[0]} of {job} was recorded with two results"

    def tokens(self) -> dict[str, list[str]]:
        """By job, what was recorded of its steps."""
        found: dict[tuple[str, int], str] = {}
        for what, _, job, *rest in self._lines:
            if what == "saw":
                found[job, int(rest[0])] = rest[1]
        return {job: [found[job, step] for step in range(STEPS)] for job in {job for job, _ in found}}
