"""The people who decide on claims. Here they are told on the terminal how to answer."""

from pydantic import BaseModel

import perdure

reviewers = perdure.Service("Reviewers")


class Claim(BaseModel):
    """What a customer wants to be paid."""

    customer: str = "Ada"
    amount: int = 900


class Review(BaseModel):
    """A claim that waits for a person, and the id of the awakeable that takes the answer: true or false."""

    claim: Claim
    awakeable_id: str


@reviewers.handler()
async def notify(ctx: perdure.Context, review: Review) -> None:
    """Tell the reviewers of a claim."""
    await ctx.run_typed("Tell the reviewers", tell, review=review)


def tell(review: Review) -> None:
    """In place of the print, send what your people read: a chat message, an e-mail, a ticket."""
    print(
        f"Shall {review.claim.customer} be paid {review.claim.amount}? To answer yes:\n"
        f"curl localhost:8080/restate/awakeables/{review.awakeable_id}/resolve --json true",
        flush=True,
    )
