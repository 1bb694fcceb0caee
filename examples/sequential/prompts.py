"""What the three agents are told to do, each with what the one before it wrote."""

PARSE = "Extract from this document who claims what amount for which expense. Write one line."
ASSESS = "Assess this expense: say whether it is reimbursed, by the rule that meals are up to 50 a day."
EXPLAIN = "Explain this decision to the employee, in one friendly sentence."
