"""The agents of a practice whose calls are recorded, held and handed on, and their files."""

from pathlib import Path

DESK = """
name = "{name}"
numbers = ["{name}"]
prompt = "You answer the telephone of Harbour Street Practice."
greeting = "Hello, this is Harbour Street Practice. How can I help you?"
tools = ["take_message", "collect_digits", "end_call"{tools}]

[[expecting]]
after = '\\bnumber\\b[^.]*\\?|\\bdigits\\b'
answer = "number"

[limits]
silence_seconds = {silence}
silence_prompts = 1
call_seconds = {longest}
{more}
"""
RECORDED = """
[recording]
enabled = true
consent = "{consent}"
announcement = "{announcement}"
opt_out_phrases = ["don't record", "do not record"]
"""
ENDED = """
[ended]
url = "{url}"
secret_variable = "TEST_WEBHOOK_KEY"
"""


def write(folder: Path, name: str, more: str = "", tools: str = "", silence: float = 6, longest: float = 600) -> None:
    """The file of one agent, called by its name."""
    folder.mkdir(exist_ok=True)
    text = DESK.format(name=name, tools=tools, silence=silence, longest=longest, more=more)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def recorded(consent: str, announcement: str) -> str:
    """The table of a recorded agent."""
    return RECORDED.format(consent=consent, announcement=announcement)


def scenario(path: Path, *steps: str, head: str = "", end: str = 'ended_by = "agent"') -> str:
    """Write a scenario of steps, each a line of TOML or several; returns its path as text."""
    body = "".join(f"[[step]]\n{step}\n" for step in steps)
    path.write_text(f'title = "A test"\n{head}\n{body}[expect]\n{end}\n', encoding="utf-8")
    return str(path)
