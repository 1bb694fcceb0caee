"""What the support desk's agents share, remote or local: the question, who the specialists are, what they are asked."""

from pydantic import BaseModel

from perdure.llm import tool


class Question(BaseModel):
    """What a customer asks."""

    message: str = "I was charged twice for my subscription last month"


SPECIALISTS = {
    "BillingAgent": "Expert in payments, charges, and refunds",
    "AccountAgent": "Expert in login issues and security",
    "ProductAgent": "Expert in features and how-to guides",
}

# Large models need no examples; the small one that comes with perdure decides much better with them.
EXAMPLES = {
    "BillingAgent": [
        "My credit card was charged the wrong amount",
        "Can I get a refund for this payment?",
        "Why is my invoice higher than last month?",
        "I want to cancel my subscription and get my money back",
    ],
    "AccountAgent": [
        "I forgot my password and need to reset it",
        "Someone else logged in to my profile",
        "How do I turn on two-factor authentication?",
        "My account is locked after too many login attempts",
    ],
    "ProductAgent": [
        "How do I create a new dashboard?",
        "Does the app support dark mode?",
        "Can I import contacts from a spreadsheet?",
        "What does the search feature do?",
    ],
}

TOOLS = [tool(name=name, description=desc, examples=EXAMPLES[name]) for name, desc in SPECIALISTS.items()]
