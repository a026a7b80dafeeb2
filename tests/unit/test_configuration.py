"""Every variable is documented; docs/configuration.md is what the class says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pms.config import ConfigError, configuration_table, load_settings

DOC = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_table_of_variables_is_the_class_s() -> None:
    assert configuration_table() in DOC.read_text(), "write pms.config.configuration_table() into the page"


def test_a_webhook_that_is_no_address_is_refused_without_telling_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_WEBHOOK_URL", "hooks.example/a-secret-path")
    with pytest.raises(ConfigError, match="PMS_WEBHOOK_URL is not an http") as refused:
        load_settings(of_running_stack=False)
    assert "a-secret-path" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PMS_RISK_GRID", "-10,ten", "list of percents"),
        ("PMS_RISK_GRID", "-101", "between -100 and 1000"),
        ("PMS_RISK_GRID", "NaN", "between -100 and 1000"),
        ("PMS_RISK_LEAST_RETURNS", "501", "at most PMS_RISK_RETURNS, 500"),
        ("PMS_RISK_VAR_CONFIDENCE", "1", "PMS_RISK_VAR_CONFIDENCE"),
        ("PMS_RISK_INTERVAL", "1w", "PMS_RISK_INTERVAL"),
    ],
)
def test_risk_that_cannot_be_reckoned_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words):
        load_settings(of_running_stack=False)


def test_the_grid_is_read_in_its_order_without_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMS_RISK_GRID", "-10, 5,,-10,2.5")
    assert load_settings(of_running_stack=False).risk_percents == [-10, 5, Decimal("2.5")]


@pytest.mark.parametrize("measure", ["VAR", "ES", "STRESS", "MARGIN"])
def test_a_limit_that_was_a_variable_is_not_lost_unseen(
    monkeypatch: pytest.MonkeyPatch, measure: str
) -> None:
    monkeypatch.setenv(f"PMS_RISK_MOST_{measure}", "20")
    with pytest.raises(ConfigError, match=rf"pms limits set '\*' risk.{measure.lower()} "):
        load_settings(of_running_stack=False)
