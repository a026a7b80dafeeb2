"""Parts that somebody else runs: looked at before anything starts, each fault one line with its variable."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import psycopg
from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import RedisError
from redis.retry import Retry

from pms.config import ConfigError, Settings
from pms.db.address import libpq_address, shown
from pms.db.errors import BadAddress
from pms.stack.errors import StackError

TIMEOUT_S = 5
LEAST_REDIS = (6, 2)
LEAST_POSTGRES = 15


def check_external(settings: Settings) -> None:
    """Raise ConfigError or StackError for the first external part that is not as it must be."""
    if settings.redis_url:
        check_redis(settings.redis_url)
    if settings.database_url:
        check_postgres(settings.database_url)
    if settings.binance_rest_url:
        require_exchange_settings(settings)
        exchange_time(settings.binance_rest_url)
    else:
        refuse_exchange_settings(settings)


def require_exchange_settings(settings: Settings) -> None:
    """Raise ConfigError if an exchange is named but not all that it takes."""
    for name in ("binance_ws_url", "binance_api_key", "binance_api_secret"):
        if not getattr(settings, name):
            raise ConfigError(f"PMS_{name.upper()} is not set, and PMS_BINANCE_REST_URL is")


def refuse_exchange_settings(settings: Settings) -> None:
    """Raise ConfigError if all but the exchange is named: our own would be started, with a real one's key."""
    for name in ("binance_ws_url", "binance_api_key", "binance_api_secret"):
        if getattr(settings, name):
            raise ConfigError(
                f"PMS_{name.upper()} is set, and PMS_BINANCE_REST_URL is not: set both, or neither for an"
                " exchange of our own"
            )


def check_redis(url: str) -> str:
    """The server's version. Raises StackError."""
    if not _readable(url):
        raise StackError(
            "PMS_REDIS_URL cannot be read: it begins with redis://, rediss:// or unix://, and a character"
            " of its password may need percent-encoding (% is %25, @ is %40, / is %2F, # is %23, ? is %3F)"
        )
    try:
        with Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        ) as client:
            version = str(client.info("server")["redis_version"])
    except (RedisError, OSError, ValueError, TypeError) as error:  # TypeError: an option that is none
        raise StackError(f"PMS_REDIS_URL {redis_shown(url)} does not answer: {error}") from None
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_REDIS:
        raise StackError(f"PMS_REDIS_URL is Redis {version}; 6.2 or newer is needed")
    return version


def check_postgres(url: str) -> int:
    """The server's major version. Raises StackError."""
    try:
        with psycopg.connect(libpq_address(url), connect_timeout=TIMEOUT_S) as connection:
            major = connection.info.server_version // 10_000
    except BadAddress as fault:
        raise StackError(f"PMS_DATABASE_URL: {fault}") from None
    except psycopg.Error as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StackError(f"PMS_DATABASE_URL {shown(url)} does not answer: {first}") from None
    if major < LEAST_POSTGRES:
        raise StackError(f"PMS_DATABASE_URL is PostgreSQL {major}; {LEAST_POSTGRES} or newer is needed")
    return major


def exchange_time(rest_url: str) -> int:
    """The exchange's clock in ms (Binance USDⓈ-M docs, Check Server Time). Raises StackError."""
    try:
        with urllib.request.urlopen(f"{rest_url}/fapi/v1/time", timeout=TIMEOUT_S) as answer:
            return int(json.load(answer)["serverTime"])
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or error
        raise StackError(f"PMS_BINANCE_REST_URL {rest_url} does not answer: {reason}") from None


def redis_shown(url: str) -> str:
    """A Redis address for people, without its password."""
    if not _readable(url):
        return "(an address that cannot be read)"
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    host = parts.hostname or "?"
    return f"{parts.scheme}://{host}:{parts.port or 6379}{parts.path}"


def _readable(url: str) -> bool:
    """Whether an address's parts are what they seem: a password with a bare /, ? or # goes on behind it."""
    try:
        parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        return False
    parts = urlsplit(url)
    return "@" not in parts.path + parts.query + parts.fragment
