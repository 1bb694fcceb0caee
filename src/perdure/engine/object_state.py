"""The state of objects and workflows: what is on disk, and over it what uncommitted batches make of it."""

import logging
import sys
from collections.abc import Callable, Sequence

from perdure.engine.batch import Batch
from perdure.engine.keys import Key
from perdure.engine.mutation import Mutation
from perdure.engine.store.reader import Reader

logger = logging.getLogger(__name__)


class ObjectState:
    """`batches` gives what is not on disk yet, oldest first; changes go into the last one."""

    def __init__(self, reader: Reader, batches: Callable[[], Sequence[Batch]]) -> None:
        self._reader = reader
        self._batches = batches

    def of(self, key: Key) -> list[tuple[bytes, bytes]]:
        """All of an object's, by name."""
        entries = dict(self._reader.state(key, sys.maxsize)[0])
        for batch in self._batches():
            batch.change_state(key, entries)
        return sorted(entries.items())

    def apply(self, key: Key, mutation: Mutation) -> bool:
        """Change it, if it is what whoever changes it has seen."""
        if not mutation.fits(self.of(key)):
            return False
        batch = self._batches()[-1]
        batch.clear_object(key)
        for name, value in mutation.state.items():
            batch.state[*key, name.encode()] = value
        return True

    def put_off(self, key: Key, place: int, mutation: Mutation) -> None:
        """Keep a mutation until the key is free."""
        self._batches()[-1].mutations[place] = (*key, mutation.encode())

    def apply_waiting(self, key: Key, place: int) -> None:
        """The key is free for the mutation that was put off at this place."""
        record = self._reader.mutation(place)
        for batch in self._batches():
            if (row := batch.mutations.get(place)) is not None:
                record = row[-1]
        assert isinstance(record, bytes), f"the mutation at {place} of {key} is gone"
        self._batches()[-1].mutations[place] = None
        if not self.apply(key, Mutation.decode(record)):
            logger.warning("the state of %s is not changed: it was another version when its turn came", "/".join(key))
