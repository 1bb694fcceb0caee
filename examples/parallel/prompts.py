"""What the three agents are told to do, each with the same text."""

SENTIMENT = "Say whether the sentiment of this text is positive, negative or neutral. Write one word."
KEY_POINTS = "List the key points of this text, one a line."
SUMMARY = "Summarize this text in one sentence."
