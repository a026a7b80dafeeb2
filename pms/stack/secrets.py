"""What a system makes up for itself on its first run: kept in one file that only its owner reads."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from pms.stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Secrets:
    """The embedded exchange's key, Flower's password, and this system's name."""

    stack_id: str
    api_key: str
    api_secret: SecretStr
    flower_password: SecretStr
    new: bool


def load_or_make(path: Path) -> Secrets:
    """Read the file, or make it; `new` says that the password has never been shown. Raises StackError."""
    new = not path.exists()
    if new:
        write_private(
            path,
            {
                "PMS_STACK_ID": secrets.token_hex(4),
                "PMS_BINANCE_API_KEY": secrets.token_hex(32),
                "PMS_BINANCE_API_SECRET": secrets.token_hex(32),
                "PMS_FLOWER_PASSWORD": secrets.token_urlsafe(12),
            },
        )
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise StackError(f"{path} can be read by others: `chmod 600 {path}`")
    values = dotenv_values(path, interpolate=False)

    def value(name: str) -> str:
        if not (found := values.get(name)):
            raise StackError(f"{path} lacks {name}: put it back, or remove the file and the venue's state")
        return found

    return Secrets(
        stack_id=value("PMS_STACK_ID"),
        api_key=value("PMS_BINANCE_API_KEY"),
        api_secret=SecretStr(value("PMS_BINANCE_API_SECRET")),
        flower_password=SecretStr(value("PMS_FLOWER_PASSWORD")),
        new=new,
    )


def write_private(path: Path, values: dict[str, str]) -> None:
    """Write variables, whole or not at all, in a file that nobody else can ever have opened."""
    lines = [f"{name}='{_quoted(value)}'\n" for name, value in values.items()]
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def _quoted(value: str) -> str:
    if "\n" in value:
        raise StackError("an address or a secret holds a line break")
    return value.replace("\\", "\\\\").replace("'", "\\'")
