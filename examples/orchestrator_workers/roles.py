"""Who works on a report: what each agent is told, and what a worker is given."""

from pydantic import BaseModel

PLANNER = "Plan a short report on this topic. Write the titles of two to four sections, one a line, and nothing else."
WORKER = "Write this section of a report, in two or three sentences."
EDITOR = "Make one report of these sections: put them in order, and make it read as if one person wrote it."


class Section(BaseModel):
    """One section of a report."""

    topic: str
    title: str


def titles(plan: str) -> list[str]:
    """The titles in what the planner wrote; models like to number them."""
    return [line.lstrip("-*# 0123456789.").strip() for line in plan.splitlines() if line.strip()]
