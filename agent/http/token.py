"""The API's bearer token: given by setting, or made on first start and kept in a file only its owner can read."""

import contextlib
import hmac
import os
import secrets
from pathlib import Path

from agent.errors import StartError

SHORTEST = 16
"""Characters of a token that somebody chose."""


def token_path(var: Path) -> Path:
    """Where a token that was made is kept."""
    return var / "api-token"


def obtain_token(var: Path, given: str) -> tuple[str, bool]:
    """(token, whether it was made just now). Raises StartError: too short, file unreadable or empty."""
    if given:
        if len(given) < SHORTEST:
            raise StartError(f"TRUNKLINE_AGENT_API_TOKEN: too short; take at least {SHORTEST} characters, or none")
        return given, False
    path = token_path(var)
    try:
        made = _make(path)
        token = path.read_text(encoding="ascii").strip()
        path.chmod(0o600)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"API token {path}: {error}. Repair the file or set TRUNKLINE_AGENT_API_TOKEN.") from None
    if len(token) < SHORTEST:
        raise StartError(f"API token {path}: too short; delete the file to get a new one")
    return token, made


def _make(path: Path) -> bool:
    """Whether the file was made. Of several processes that start together one makes it, the others find it whole."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, f"{secrets.token_urlsafe(32)}\n".encode())
    finally:
        os.close(descriptor)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
            return True
        return False
    finally:
        draft.unlink()


def bearer_is(header: str, token: str) -> bool:
    """Whether an Authorization header carries the token. Takes the same time however wrong it is."""
    scheme, _, value = header.partition(" ")
    right = hmac.compare_digest(value.strip().encode(), token.encode())
    return right and scheme.lower() == "bearer"
