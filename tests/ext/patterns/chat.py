"""A session that remembers: the second message is answered by what was said in the first."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern, Play

FIRST = "My name is Ada, and I like trains"
SECOND = "What do I like?"
LIKES = "You like trains."


def script(request: ChatRequest) -> Reply:
    if request.question != SECOND:
        return Reply("Nice to meet you, Ada.")
    remembered = any("trains" in str(message) for message in request.messages)
    return Reply(LIKES if remembered else "You have not said what you like.")


async def introduce(play: Play) -> None:
    await play.call("Chat/message", FIRST, key="ada")


async def look_back(play: Play) -> None:
    [_, message] = play.harness.invocations("Chat/message")
    await play.harness.outcome(message.id)
    said = str(await play.call("Chat/history", key="ada"))
    places = [said.find(text) for text in (FIRST, "Nice to meet you", SECOND, LIKES)]
    assert -1 not in places, f"something is missing in the history {said}"
    assert places == sorted(places), f"not in the order in which it was said: {said}"


PATTERN = Pattern(
    "chat", "Chat/message", SECOND, LIKES, script, key="ada", before=introduce, meanwhile=look_back
)  # fmt: skip
