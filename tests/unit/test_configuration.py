"""Every variable is documented; docs/configuration.md is what the class says."""

from __future__ import annotations

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
