"""Three agents one after another."""

from perdure.testing.model import ChatRequest, Reply
from sequential.prompts import ASSESS, EXPLAIN, PARSE
from tests.ext.patterns.pattern import Pattern


def script(request: ChatRequest) -> Reply:
    told, given = request.instructions, str(request.messages[1:])
    if PARSE in told:
        return Reply("Ada claims 42 for a meal")
    if ASSESS in told and "Ada claims 42" in given:
        return Reply("reimbursed: within the limit")
    if EXPLAIN in told and "within the limit" in given:
        return Reply("Dear Ada, your meal is paid.")
    return Reply(f"What am I to do with {given}?")


PATTERN = Pattern(
    "sequential", "Reimbursement/process", "Receipt: Ada, lunch, 42", "Dear Ada, your meal is paid.", script
)  # fmt: skip
