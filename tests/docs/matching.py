"""Whether what was printed is what a page shows, as far as a page can know it."""

import re
from dataclasses import dataclass, field

_ID = re.compile(r"(?:inv|dp|sign|prom)_1[\w-]+")
_TOKEN = re.compile(rf"({_ID.pattern}|\.\.\.)")


@dataclass
class Ids:
    """The ids of a page, with what they were in this run."""

    real: dict[str, str] = field(default_factory=dict[str, str])

    def in_command(self, command: str) -> str:
        """The command with real ids; one that was not printed before stays as it is."""
        return _ID.sub(lambda shown: self.real.get(shown[0], shown[0]), command)

    def matches(self, shown: str, printed: str, *, anywhere: bool = False) -> bool:
        """Whether `printed` is what is `shown`; if so, ids that are new to the page are known from here on."""
        groups: list[str] = []

        def pattern(token: str) -> str:
            if token == "...":
                return ".*?"
            if not _ID.fullmatch(token):
                return re.escape(token)
            if token in self.real:
                return re.escape(self.real[token])
            if token in groups:
                return rf"(?P=id{groups.index(token)})"
            groups.append(token)
            return rf"(?P<id{len(groups) - 1}>{token.partition('_')[0]}_[\w-]+)"

        expression = "".join(map(pattern, _TOKEN.split(shown.strip())))
        match = (re.search if anywhere else re.fullmatch)(expression, printed.strip(), re.DOTALL)
        if match is None:
            return False
        self.real.update({token: match[f"id{index}"] for index, token in enumerate(groups)})
        return True
