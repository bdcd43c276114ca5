"""All agents of a process, from a directory of TOML files, and which of them answers a number."""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from agent.definition import AgentDefinition
from agent.errors import StartError
from agent.toml_errors import explain


class DefinitionError(StartError):
    """One line for each mistake: file, line, key, what is wrong, what is valid."""


@dataclass(frozen=True)
class Directory:
    """The agents, by name."""

    agents: Mapping[str, AgentDefinition]
    _exact: Mapping[str, str] = field(init=False)
    _endings: Sequence[tuple[str, str]] = field(init=False)
    """(beginning, agent), longest first."""

    def __post_init__(self) -> None:
        """Sort the numbers. Raises DefinitionError: two agents want the same one."""
        wanted: dict[str, str] = {}
        for agent in self.agents.values():
            for pattern in agent.numbers:
                key = normal(pattern)
                if wanted.setdefault(key, agent.name) != agent.name:
                    raise DefinitionError(f"numbers: {pattern} is claimed by {wanted[key]} and {agent.name}; keep one")
        prefixes = [(key[:-1], name) for key, name in wanted.items() if key.endswith("*")]
        object.__setattr__(self, "_exact", {k: name for k, name in wanted.items() if not k.endswith("*")})
        object.__setattr__(self, "_endings", sorted(prefixes, key=lambda entry: -len(entry[0])))

    def for_number(self, did: str) -> AgentDefinition | None:
        """Who answers `did`: the exact number, else the longest beginning, else "*", else nobody."""
        number = normal(did)
        if name := self._exact.get(number):
            return self.agents[name]
        for beginning, name in self._endings:
            if number.startswith(beginning):
                return self.agents[name]
        return None


def normal(number: str) -> str:
    """A number as it is compared: no separators, no + or 00 in front; a SIP user in lower case."""
    if re.fullmatch(r"\+?[\d\s().\-/]+\*?", number):
        digits = re.sub(r"[^\d*]", "", number)
        return digits.removeprefix("00") if not number.lstrip().startswith("+") else digits
    return number.strip().lower()


def load_agents(directory: Path, environ: Mapping[str, str] = os.environ) -> Directory:
    """Read every `*.toml` of `directory`. Raises DefinitionError with a line for each mistake in any file, a variable
    for a secret that is not set among them."""
    files = sorted(directory.glob("*.toml"))
    if not files:
        raise DefinitionError(f"{directory}: no agent files (*.toml) there")
    agents: dict[str, AgentDefinition] = {}
    problems: list[str] = []
    for file in files:
        try:
            agent = load_agent(file)
        except DefinitionError as error:
            problems.append(str(error))
            continue
        if agent.name in agents:
            problems.append(f"{file}: name: another file already describes {agent.name}")
        unset = [variable for variable in agent.secret_variables if not environ.get(variable)]
        problems += [f"{file}: secret_variable: the environment variable {name} is not set" for name in unset]
        agents[agent.name] = agent
    if problems:
        raise DefinitionError("\n".join(problems))
    try:
        return Directory(agents)
    except DefinitionError as error:
        raise DefinitionError(f"{directory}: {error}") from None


def load_agent(file: Path) -> AgentDefinition:
    """Read one file. Raises DefinitionError."""
    try:
        text = file.read_text(encoding="utf-8")
        return parse_agent(text, str(file))
    except OSError as error:
        raise DefinitionError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{file}: not UTF-8: {error}") from None


def parse_agent(text: str, source: str) -> AgentDefinition:
    """The agent that the TOML `text` describes; `source` names it in errors. Raises DefinitionError."""
    try:
        # Through JSON, because only there strict validation takes TOML's arrays for tuples and its dates as text.
        return AgentDefinition.model_validate_json(json.dumps(tomllib.loads(text), default=str))
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{source}: not TOML: {error}") from None
    except ValidationError as error:
        lines = [f"{source}: {explain(AgentDefinition, text, dict(problem))}" for problem in error.errors()]
        raise DefinitionError("\n".join(lines)) from None
