"""Questions for the support desk, and who should get each: what a model's decisions are measured with.

None of them was used to choose the prompt, the calibration or the examples.
"""

SAMPLES = (
    ("I was charged twice for my subscription last month", "BillingAgent"),
    ("I cannot log in to my account", "AccountAgent"),
    ("How do I export my data to CSV?", "ProductAgent"),
)

HELD_OUT = {
    "BillingAgent": (
        "Why did you take 49 dollars from my account twice?",
        "I need a copy of my March invoice",
        "My card was declined, but I still see a pending charge",
        "I'd like my money back, the service did not work",
        "Can you explain the tax on my bill?",
        "You renewed my plan without asking, please refund it",
        "The price on my receipt does not match the offer",
        "How do I update my payment method?",
        "I was overcharged by 20 euros",
        "Is there a discount if I pay yearly?",
    ),
    "AccountAgent": (
        "My password does not work any more",
        "I never receive the reset email",
        "Somebody from another country signed in as me",
        "How do I change my username?",
        "My two-factor code is refused",
        "I got locked out after three wrong attempts",
        "Please help, I think my account was stolen",
        "How can I make my account more secure?",
        "I get 'invalid credentials' each time I sign in",
        "I no longer have the phone number for verification",
    ),
    "ProductAgent": (
        "How do I invite a colleague to a project?",
        "Can I undo a deleted page?",
        "Which file formats can I upload?",
        "Is there a mobile app for Android?",
        "How do I set up a weekly report?",
        "Where can I change the language of the menus?",
        "Can I add comments to a document?",
        "How does the automatic backup feature work?",
        "What can I do with templates?",
        "How do I filter tasks by date?",
    ),
}
