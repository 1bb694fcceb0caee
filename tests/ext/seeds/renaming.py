"""Our names in place of the brand's: what is done to the seeds, and what a user does who moves here."""

import re

RENAMED = (
    (r"(?<![A-Za-z])restate_((?:\w+_)?context)\b", r"current_\1"),
    (r"(?<![A-Za-z])restate_", "durable_"),
    (r"\bRestate(?=[A-Z])", "Durable"),
    (r"\brestate\b", "perdure"),
)


def renamed(source: str) -> str:
    """The code, with our names."""
    for pattern, name in RENAMED:
        source = re.sub(pattern, name, source)
    return source
