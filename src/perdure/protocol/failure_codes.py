"""Codes of an attempt's failure that both sides give a meaning; the others are the service's own."""

JOURNAL_MISMATCH = 570
"""The code does not follow the journal: another attempt would find the same."""
PROTOCOL_VIOLATION = 571
"""One side said what the protocol does not allow."""
