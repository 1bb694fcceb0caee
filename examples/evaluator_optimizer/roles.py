"""What the writer and the judge are told."""

WRITER = "Translate this text into French. Where there is a translation and what is wrong with it, improve it."
JUDGE = "Judge this translation into French. Write PASS if it is good, else what is wrong with it, in one sentence."
