"""How risk is reckoned here: from the settings, and from the file of scenarios."""

from __future__ import annotations

from pathlib import Path

import pms.risk
from pms.config import ConfigError, Settings
from pms.contract.money import decode_any
from pms.flows.portfolio import Terms
from pms.risk.assess import Method
from pms.risk.scenarios import BadScenario, Scenario, grid, scenarios_from

SHIPPED = Path(pms.risk.__file__).with_name("scenarios.json")
RUNS_KEPT = 3
LEAST_KEPT_S = 900


def terms_of(settings: Settings) -> Terms:
    """The terms; raises ConfigError where the scenarios cannot be read."""
    return Terms(
        method=Method(
            interval=settings.risk_interval,
            horizon=settings.risk_horizon,
            var_confidence=settings.risk_var_confidence,
            es_confidence=settings.risk_es_confidence,
            decay=settings.risk_decay,
        ),
        returns=settings.risk_returns,
        least_returns=settings.risk_least_returns,
        reference=settings.risk_reference.upper(),
        scenarios=(*scenarios_in(settings.risk_scenarios or SHIPPED), *grid(settings.risk_percents)),
        # One run that fails must not blank the page.
        kept_s=max(LEAST_KEPT_S, RUNS_KEPT * settings.risk_every_s),
    )


def scenarios_in(path: Path) -> tuple[Scenario, ...]:
    """Read a file of scenarios; raises ConfigError with the field that is wrong."""
    try:
        return scenarios_from(decode_any(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"PMS_RISK_SCENARIOS {path} cannot be read: {error.strerror}") from None
    except BadScenario as error:
        raise ConfigError(f"PMS_RISK_SCENARIOS {path}: {error.field}: {error}, was {error.actual}") from None
    except ValueError as error:
        raise ConfigError(f"PMS_RISK_SCENARIOS {path} is not JSON: {error}") from None
