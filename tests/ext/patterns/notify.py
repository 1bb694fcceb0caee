"""An answer at once, a mail when the work is done."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern, Play
from tests.ext.patterns.people import came

TOPIC = "Night trains in Europe"
FOUND = "They are back."


def script(request: ChatRequest) -> Reply:
    return Reply(FOUND if TOPIC in str(request.messages) else "What about?")


async def read_mail(play: Play) -> None:
    [mail] = await came(play, "Mailer/send", 1)
    assert TOPIC in str(mail)
    assert FOUND in str(mail)


PATTERN = Pattern(
    "notify",
    "Research/run",
    TOPIC,
    lambda said: said.startswith("accepted"),
    script,
    meanwhile=read_mail,
    spied=("notify.mailer.deliver",),
)
