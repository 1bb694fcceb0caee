"""What types of journal entries are called, by people and in tables."""

from perdure.protocol.messages import MessageType


def _words(type: MessageType) -> str:
    """`GET_LAZY_STATE_COMPLETION` as `GetLazyState`."""
    return "".join(part.capitalize() for part in type.name.removesuffix("_COMPLETION").split("_"))


def entry_word(type: int) -> str:
    """The name of an entry's type, as people read it: `GetLazyState`, for the command and for its completion."""
    return _words(MessageType(type))


def case_of(subject: str, words: dict[int, str]) -> str:
    arms = " ".join(f"when {number} then '{word}'" for number, word in words.items())
    return f"case {subject} {arms} end"


COMMANDS = {int(type): _words(type) for type in MessageType if 0x0400 <= type < 0x8000}
_NOTIFICATIONS = {int(type): _words(type) for type in MessageType if type >= 0x8000}
ENTRY_TYPES = {type: f"Command: {word}" for type, word in COMMANDS.items()} | {
    type: f"Notification: {word}" for type, word in _NOTIFICATIONS.items()
}
