"""What the agents tell each other: all that their processes have in common."""

from pydantic import BaseModel


class InsuranceClaim(BaseModel):
    """What a customer wants to be paid for."""

    date: str
    category: str
    reason: str
    amount: float
    placeOfService: str
