"""The promises of workflows: those on disk, and over them what uncommitted batches make of them."""

from collections.abc import Callable, Sequence

from perdure.engine.batch import Batch, Promise, PromiseKey
from perdure.engine.keys import Key
from perdure.engine.store.reader import Reader


class Promises:
    """`batches` gives what is not on disk yet, oldest first; changes go into the last one."""

    def __init__(self, reader: Reader, batches: Callable[[], Sequence[Batch]]) -> None:
        self._reader = reader
        self._batches = batches
        self._promises: dict[PromiseKey, Promise] = {}

    def of(self, key: PromiseKey) -> Promise:
        """One promise, to be changed; one that nobody has asked for yet is open."""
        promise = self._promises.get(key)
        if promise is None:
            promise = (None if self._are_cleared(key[:3]) else self._reader.promise(key)) or Promise(key)
        self._promises[key] = self._batches()[-1].promises[key] = promise
        return promise

    def of_workflow(self, key: Key) -> list[Promise]:
        """All promises of a workflow."""
        stored = () if self._are_cleared(key) else self._reader.promise_names(key)
        names = {*stored, *(each[3] for each in self._promises if each[:3] == key)}
        return [self.of((*key, name)) for name in sorted(names)]

    def is_uncommitted(self, key: PromiseKey) -> bool:
        """Whether something of a promise is not on disk yet, or it is to go from there."""
        return self._are_cleared(key[:3]) or any(key in batch.promises for batch in self._batches())

    def clear(self, key: Key) -> None:
        """All promises of a workflow go."""
        batch = self._batches()[-1]
        for promise_key in [each for each in self._promises if each[:3] == key]:
            del self._promises[promise_key]
            batch.promises.pop(promise_key, None)
        batch.cleared_promises.add(key)

    def forget(self, batch: Batch) -> None:
        """The batch is on disk: what has not changed since can be read again."""
        for key in batch.promises.keys() - self._batches()[-1].promises.keys():
            self._promises.pop(key, None)

    def _are_cleared(self, key: Key) -> bool:
        """Whether a workflow's promises on disk are to go with what is not committed yet."""
        return any(key in batch.cleared_promises for batch in self._batches())
