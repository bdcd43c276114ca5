"""A rule-based front desk: a pure function from the messages of a call to the next thing to say or do."""
