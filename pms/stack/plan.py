"""What will run: which parts are ours, which are somebody else's, and the addresses that tie them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pms.config import Settings
from pms.db.address import shown
from pms.stack import belonging, processes, state
from pms.stack.external import check_external, redis_shown
from pms.stack.places import Places
from pms.stack.ports import LOOPBACK, claim
from pms.stack.processes import VENUE_BALANCE, Runnable, ServerPart
from pms.stack.secrets import Secrets, load_or_make
from pms.stack.servers.postgres import EmbeddedPostgres
from pms.stack.servers.redis import EmbeddedRedis

TOLD = ("live", "symbols", "dead_man", "dead_man_s", "default_leverage")
"""Settings of the running system that a command in another terminal speaks of."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `pms up` decided before it started anything."""

    settings: Settings
    places: Places
    secrets: Secrets
    parts: tuple[Runnable, ...]
    external: tuple[state.Part, ...]
    addresses: dict[str, str]
    database_url: str

    def for_other_terminals(self) -> dict[str, str]:
        """What a command elsewhere finds the system by, and what it would tell wrongly otherwise.

        Never a real exchange's key. PMS_LIVE is among it: whoever flattens there, with the key, flattens a
        system that was armed already.
        """
        set_so = {f"PMS_{name.upper()}": str(getattr(self.settings, name)) for name in TOLD}
        return {name: value for name, value in {**set_so, **self.addresses}.items() if value}


def make_plan(settings: Settings, places: Places) -> Plan:
    """Decide what runs. Raises ConfigError or StackError for what an operator must put right first.

    `settings` must be those of the environment alone, not of a running system.
    """
    check_external(settings)
    belonging.check(settings, places)
    draft = _Draft(settings, places, load_or_make(places.secrets))
    redis_url = draft.redis()
    database_url = draft.postgres()
    exchange = draft.exchange()
    flower_port = claim("PMS_FLOWER_PORT", settings.flower_port)
    addresses = {
        "PMS_REDIS_URL": redis_url,
        "PMS_DATABASE_URL": database_url,
        **exchange,
        "PMS_FLOWER_PORT": str(flower_port),
    }
    draft.parts += processes.engine(
        places,
        environment={**processes.base_environment(places), **addresses},
        redis_url=redis_url,
        flower_port=flower_port,
        flower_password=settings.flower_password or draft.secrets.flower_password,
    )
    return Plan(
        settings=settings,
        places=places,
        secrets=draft.secrets,
        parts=tuple(draft.parts),
        external=tuple(draft.external),
        addresses=addresses,
        database_url=database_url,
    )


@dataclass(slots=True)
class _Draft:
    """A plan in the making: each method decides one part and returns its address."""

    settings: Settings
    places: Places
    secrets: Secrets
    parts: list[Runnable] = field(default_factory=list)
    external: list[state.Part] = field(default_factory=list)

    def redis(self) -> str:
        if self.settings.redis_url:
            self.external.append(state.Part("redis", redis_shown(self.settings.redis_url), "external"))
            return self.settings.redis_url
        server = EmbeddedRedis(
            data_dir=self.places.redis_data,
            runtime_dir=self.places.runtime,
            appendfsync=self.settings.appendfsync,
            maxmemory_mb=self.settings.redis_maxmemory_mb,
            log=self.places.log_of("redis"),
        )
        self.parts.append(ServerPart(server, address=redis_shown(server.url)))
        return server.url

    def postgres(self) -> str:
        if self.settings.database_url:
            self.external.append(state.Part("postgres", shown(self.settings.database_url), "external"))
            return self.settings.database_url
        places = self.places
        server = EmbeddedPostgres(
            data_dir=places.postgres_data,
            runtime_dir=places.postgres_runtime,
            system_dir=places.system_dir,
            log=places.log_of("postgres"),
        )
        address = str(places.postgres_runtime)
        self.parts.append(ServerPart(server, address=address, prepare=places.make_for_postgres))
        return server.url

    def exchange(self) -> dict[str, str]:
        """The exchange's addresses and key; a real one's key stays in the environment, off the disk."""
        settings = self.settings
        if settings.binance_rest_url and settings.binance_ws_url:
            self.external.append(state.Part("exchange", settings.binance_rest_url, "external"))
            return {
                "PMS_BINANCE_REST_URL": settings.binance_rest_url,
                "PMS_BINANCE_WS_URL": settings.binance_ws_url,
            }
        key, secret = self.secrets.api_key, self.secrets.api_secret.get_secret_value()
        port = claim("PMS_VENUE_PORT", settings.venue_port)
        self.parts.append(
            processes.venue(
                self.places,
                port=port,
                environment=processes.base_environment(self.places),
                account=f"pms:{key}:{secret}:{VENUE_BALANCE}",
            )
        )
        return {
            "PMS_BINANCE_REST_URL": f"http://{LOOPBACK}:{port}",
            "PMS_BINANCE_WS_URL": f"ws://{LOOPBACK}:{port}",
            "PMS_BINANCE_API_KEY": key,
            "PMS_BINANCE_API_SECRET": secret,
        }
