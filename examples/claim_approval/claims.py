"""The claim that the agents look at."""

from pydantic import BaseModel


class InsuranceClaim(BaseModel):
    """What a customer wants to be paid for."""

    date: str = "2024-10-01"
    category: str = "orthopedic"
    reason: str = "hospital bill for a broken leg"
    amount: float = 3000
    placeOfService: str = "General Hospital"
