"""The red line that says where orders go."""

from __future__ import annotations

import pytest

from pms.cli.session import warn_if_live
from pms.config import LIVE_PHRASE, Settings


@pytest.mark.parametrize(
    ("address", "phrase", "said"),
    [
        ("http://127.0.0.1:9001", "", ""),
        ("https://fapi.binance.com", "", "LIVE fapi.binance.com: orders are refused: PMS_LIVE is not set\n"),
        ("https://fapi.binance.com", LIVE_PHRASE, "LIVE fapi.binance.com: orders move real money\n"),
    ],
)
def test_the_line_tells_where_orders_go(
    address: str, phrase: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    warn_if_live(Settings(binance_rest_url=address, live=phrase))
    assert capsys.readouterr().err == said
