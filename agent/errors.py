"""What stops the agent before it takes a call."""


class StartError(Exception):
    """Something the process needs is missing or wrong. The text is what to print: what is wrong, where, what to do."""
