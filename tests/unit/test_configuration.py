"""Every variable is documented; docs/configuration.md is what the class says."""

from __future__ import annotations

from pathlib import Path

from pms.config import configuration_table

DOC = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_table_of_variables_is_the_class_s() -> None:
    assert configuration_table() in DOC.read_text(), "write pms.config.configuration_table() into the page"
