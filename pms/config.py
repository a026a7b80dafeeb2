"""All configuration: one class, one prefix (`PMS_`), every variable of the system is named here.

Order of precedence: the environment, then what a running `pms up` left in `$PMS_HOME/run/stack.env`
(where its parts are, and what it goes by; never a real exchange's key), then the defaults below. So
`pms trade` in a second terminal finds the system that `pms up` started in the first, and one exported
variable overrides both.

Trap: an unset Redis, database or exchange address means *embedded*: the stack starts its own.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LIVE_PHRASE = "yes-real-money"
CHECKOUT = Path(__file__).resolve().parents[1]
_ELSEWHERE = {"PMS_VENUE_ACCOUNTS", "PMS_VENUE_SCENARIO"}
"""Variables with our prefix that `pms venue` alone reads: keys, so that no process list shows them."""

_NOW_LIMITS = {
    f"PMS_RISK_MOST_{measure.upper()}": f"risk.{measure}" for measure in ("var", "es", "stress", "margin")
}
"""Variables that were: an upgrade must not lose a limit unseen."""


class ConfigError(Exception):
    """A variable is wrong; the message names it, the value's fault and the limit."""


def default_home() -> Path:
    """`.pms` in the checkout, whatever directory a command is typed in."""
    return (CHECKOUT if (CHECKOUT / "pyproject.toml").is_file() else Path.cwd()) / ".pms"


class Settings(BaseSettings):
    """Everything that can be set from outside; field `redis_url` is the variable `PMS_REDIS_URL`."""

    model_config = SettingsConfigDict(env_prefix="PMS_", extra="ignore", frozen=True)

    # Where things lie
    home: Path = Field(
        default_factory=default_home,
        description="Directory of the whole system's data, logs and secrets; .pms in the checkout.",
    )
    system_dir: Path = Field(
        Path("/var/lib/pms"),
        description="Started by root: where PostgreSQL, which never runs as root, and its data lie.",
    )

    # External parts: set one and nothing embedded starts in its place
    redis_url: str | None = Field(None, description="redis://, rediss:// or unix:// address of Redis ≥ 6.2.")
    database_url: str | None = Field(None, description="postgresql:// address of PostgreSQL ≥ 15.")
    binance_rest_url: str | None = Field(None, description="REST base, e.g. https://fapi.binance.com.")
    binance_ws_url: str | None = Field(None, description="WebSocket base, e.g. wss://fstream.binance.com.")
    binance_api_key: SecretStr | None = Field(None, description="API key of the exchange account.")
    binance_api_secret: SecretStr | None = Field(None, description="API secret of the exchange account.")
    live: str = Field("", description=f"Orders leave loopback only when this is {LIVE_PHRASE}.")

    # Ports on 127.0.0.1; 0 takes a free one
    venue_port: int = Field(9001, ge=0, le=65535, description="Port of the embedded exchange.")
    flower_port: int = Field(5555, ge=0, le=65535, description="Port of Flower.")

    flower_password: SecretStr | None = Field(None, description="Flower's password; `pms up` makes one.")

    # Trading
    symbols: str = Field(
        "BTCUSDT,ETHUSDT",
        description="Symbols whose books are always followed; so are those of what anybody holds.",
    )
    default_leverage: int = Field(10, ge=1, le=150, description="Leverage of a command that names none.")
    exchange_leverage: int | None = Field(
        None, ge=1, le=150, description="What the exchange account's own leverage must be in each symbol."
    )
    recv_window_ms: int = Field(2000, ge=100, le=60_000, description="recvWindow of order placement.")
    stale_price_ms: int = Field(
        5000, ge=100, le=60_000, description="No market frame for so long closes admission."
    )
    most_lag_ms: int = Field(
        50,
        ge=10,
        le=5000,
        description="A streamer's loop later than this for half a second closes admission.",
    )
    rate_share: Decimal = Field(
        Decimal("0.9"), gt=0, le=1, description="Part of the exchange's rate limits that we allow ourselves."
    )

    dead_man: Literal["on", "off"] = Field(
        "on", description="While the engine is dead or unwell, the exchange cancels resting orders."
    )
    dead_man_s: int = Field(120, ge=4, le=3600, description="After so many seconds; renewed at half of it.")

    # Portfolio risk
    risk_every_s: int = Field(300, ge=10, le=86_400, description="Seconds between two risk reports.")
    risk_interval: Literal["1m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"] = Field(
        "1d", description="Length of a bar of the price history."
    )
    risk_returns: int = Field(500, ge=20, le=1400, description="How many returns are looked back.")
    risk_least_returns: int = Field(
        60, ge=2, le=1400, description="A symbol with fewer is left out of VaR and expected shortfall."
    )
    risk_horizon: int = Field(1, ge=1, le=250, description="Bars ahead that risk is reckoned for.")
    risk_reference: str = Field(
        "BTCUSDT", description="Symbol whose moves stand in for the missing past of others."
    )
    risk_var_confidence: Decimal = Field(
        Decimal("0.99"), ge=Decimal("0.5"), lt=1, description="Confidence of value at risk."
    )
    risk_es_confidence: Decimal = Field(
        Decimal("0.975"), ge=Decimal("0.5"), lt=1, description="Confidence of expected shortfall."
    )
    risk_decay: Decimal = Field(
        Decimal("0.94"), gt=0, le=1, description="Weight of a bar against the next one's (RiskMetrics)."
    )
    risk_grid: str = Field(
        "-50,-30,-20,-10,-5,5,10,20,30,50", description="Percents by which all prices are moved at once."
    )
    risk_scenarios: Path | None = Field(
        None, description="JSON file of named scenarios in place of the shipped ones."
    )

    # Embedded Redis
    appendfsync: Literal["always", "everysec"] = Field("always", description="AOF policy of embedded Redis.")
    redis_maxmemory_mb: int = Field(1024, ge=64, description="Memory of embedded Redis, in MiB.")

    # Incidents
    webhook_url: SecretStr | None = Field(None, description="Each change of an incident is POSTed here.")
    webhook_secret: SecretStr | None = Field(
        None, description="Signs them: X-PMS-Signature is sha256= and the body's HMAC-SHA256."
    )

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")
    log_json: bool = Field(False, description="One JSON object a line instead of coloured text.")

    @field_validator("home", "system_dir")
    @classmethod
    def _path_is_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("redis_url", "database_url", "binance_rest_url", "binance_ws_url")
    @classmethod
    def _address_has_a_scheme(cls, value: str | None, info: object) -> str | None:
        if value is None or value == "":
            return None
        if "://" not in value:
            raise ValueError("is not an address: it has no scheme://")
        return value.rstrip("/")

    @field_validator("risk_least_returns")
    @classmethod
    def _least_is_reached(cls, value: int, info: ValidationInfo) -> int:
        most = info.data.get("risk_returns", value)
        if value > most:
            raise ValueError(f"must be at most PMS_RISK_RETURNS, {most}, was {value}")
        return value

    @field_validator("risk_grid")
    @classmethod
    def _grid_is_percents(cls, value: str) -> str:
        try:
            percents = [Decimal(each) for each in value.split(",") if each.strip()]
        except ArithmeticError:
            raise ValueError("is not a list of percents with commas between") from None
        if not all(each.is_finite() and -100 <= each <= 1000 for each in percents) or len(percents) > 50:
            raise ValueError("must be at most 50 percents between -100 and 1000")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _webhook_is_http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("is not an http:// or https:// address")
        return value

    @property
    def risk_percents(self) -> list[Decimal]:
        """The grid of moves, in its order, without repeats."""
        return list(dict.fromkeys(Decimal(each) for each in self.risk_grid.split(",") if each.strip()))

    @property
    def symbol_list(self) -> list[str]:
        """The always-followed symbols, upper case, in order, without repeats."""
        return list(dict.fromkeys(s.strip().upper() for s in self.symbols.split(",") if s.strip()))

    @property
    def real_money(self) -> bool:
        """The exchange is not on this machine: every order would move real money."""
        return self.binance_rest_url is not None and not is_loopback(self.binance_rest_url)

    @property
    def orders_allowed(self) -> bool:
        """The live-money guard: loopback always, anywhere else only with the phrase."""
        return not self.real_money or self.live == LIVE_PHRASE

    @property
    def archive_dir(self) -> Path:
        """The journal's archive; streamer and ledger worker share it."""
        return self.home / "archive"

    @property
    def run_dir(self) -> Path:
        """Files that describe the running system: addresses, process ids."""
        return self.home / "run"


def is_loopback(url: str) -> bool:
    """Whether an address points at this very machine; a name other than localhost never counts."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(*, of_running_stack: bool = True) -> Settings:
    """Settings from the environment and, unless told otherwise, what the running stack left.

    Raises ConfigError naming the variable.
    """
    _refuse_unknown()
    try:
        base = Settings()
        stack_env = base.run_dir / "stack.env"
        return Settings(**_left(stack_env)) if of_running_stack and stack_env.is_file() else base
    except ValidationError as error:
        faults = "; ".join(
            f"PMS_{'_'.join(str(part) for part in fault['loc']).upper()} {_reason(fault['msg'])}"
            for fault in error.errors()
        )
        raise ConfigError(faults) from None
    except OSError as error:
        raise ConfigError(f"PMS_HOME {error.filename} cannot be read: {error.strerror}") from None


def _left(stack_env: Path) -> dict[str, Any]:
    """The fields that a running stack left and the environment does not set.

    Trap: pydantic's own reading of a file puts a variable's value for `${NAME}`, also within a password.
    """
    here = {name.upper() for name in os.environ}
    left = dotenv_values(stack_env, interpolate=False)
    return {name.removeprefix("PMS_").lower(): value for name, value in left.items() if name not in here}


def _refuse_unknown() -> None:
    """A misspelt variable must not be taken for an unset one."""
    known = {f"PMS_{name.upper()}" for name in Settings.model_fields} | _ELSEWHERE
    for name in os.environ:
        if name.upper() in _NOW_LIMITS:
            limit = _NOW_LIMITS[name.upper()]
            raise ConfigError(f"{name} is a limit now: `pms limits set '*' {limit} … --reason …`")
        if name.upper().startswith("PMS_") and name.upper() not in known:
            close = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(f"{name} is not a variable of PMS{hint}")


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")


def configuration_table() -> str:
    """Every variable as a line of docs/configuration.md: name, default, meaning."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") or field.default_factory else f"`{field.default}`"
        lines.append(f"| `PMS_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines)
