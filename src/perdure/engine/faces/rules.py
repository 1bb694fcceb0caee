"""`engine.rules`: the rules of flow control, looked at, put and deleted.

A change is checked and holds in memory at once, and is shown once it is on disk: of two changes that are based on the
same version, one is refused.
"""

from collections.abc import Callable, Sequence

from perdure.engine.events import SettingsChanged
from perdure.engine.faces.ask import Ask
from perdure.engine.faces.changes import Changes
from perdure.engine.flow.rules import RULE, Rule, RuleBook, RuleDeletion, RulePut
from perdure.engine.ledger import Ledger


class Rules:
    """The rules of one engine. What is awaited here returns after the commit that it rests on."""

    def __init__(self, ledger: Ledger, ask: Ask, clock: Callable[[], int]) -> None:
        self._flow = ledger.flow
        self._reader = ledger.reader
        self._ask = ask
        self._clock = clock
        self._changes = Changes(ask)

    def all(self) -> list[Rule]:
        """All rules as they are on disk, by pattern."""
        return list(RuleBook.decode(self._reader.settings(RULE)))

    async def put(self, *rules: RulePut) -> list[Rule]:
        """Put rules in the book, all of them or none; as they are then.

        Raises:
            UsageError: a pattern or limit makes no sense; the message says which and why.
            Conflict: a precondition does not hold.
        """
        async with self._changes:
            book, put = self._flow.book.put(rules, self._clock())
            await self._change(book, [(rule.pattern, rule.encode()) for rule in put])
        return put

    async def delete(self, *rules: RuleDeletion) -> list[str]:
        """Take rules out of the book, all of them or none; the patterns of those that were there.

        Raises:
            Conflict: a rule is not of the expected version.
        """
        async with self._changes:
            book, removed = self._flow.book.delete(rules)
            await self._change(book, [(pattern, None) for pattern in removed])
        return removed

    async def _change(self, book: RuleBook, changes: Sequence[tuple[str, bytes | None]]) -> None:
        self._flow.set_rules(book)
        await self._ask(
            lambda request: SettingsChanged(request, tuple((RULE, pattern, record) for pattern, record in changes))
        )
