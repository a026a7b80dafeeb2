"""`pms risk` on a screen: large books and long names stay within 80 columns, and nothing is guessed."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "risk"))

from makers import BTC, account, holding, walk

from pms.cli.risk import _read_scenario, _show
from pms.cli.session import Failed
from pms.cli.watch import describe
from pms.contract.events import RiskEvent
from pms.contract.money import decode_object, encode
from pms.contract.portfolio import PortfolioReport, read_portfolio
from pms.risk.assess import Method, Snapshot, assess
from pms.risk.coverage import Quote
from pms.risk.limits import Limits
from pms.risk.returns import align
from pms.risk.scenarios import grid

D = Decimal
LONG = "a-sub-account-whose-name-is-as-long-"


def report(*, history: bool = True, wanted: str | None = None) -> PortfolioReport:
    """A desk of a billion, one of its accounts with the longest name there may be."""
    symbol = "1000000MOGUSDT"
    closes = {symbol: walk(["0.01", "-0.02", "0.03", "-0.04"] * 20)} if history else {}
    return assess(
        Snapshot(
            seq=1_790_000_000_000_000,
            entry_at=1,
            at=1_790_000_000_000,
            accounts=[
                account(LONG, "987654321.12", holding("-123456.789", "9876.5", symbol), group="funds"),
                *(account(f"n{n:02}", "5", holding("1", "60000")) for n in range(25)),
            ],
            quotes={symbol: Quote(D("9877.12345678"), "mid", 5)},
            returns=align(closes, count=80, least=20, reference=symbol),
            ladders={"BTCUSDT": BTC},
        ),
        report_id="r",
        method=Method("1d", 5, D("0.99"), D("0.975"), D("0.94")),
        scenarios=grid([D(-20), D("12.5")]),
        limits_of=lambda _kind, _name: Limits(stress=D(10)),
        wanted=wanted,
    ).report


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("wanted", [None, LONG])
@pytest.mark.parametrize("history", [True, False])
def test_a_large_desk_fits_the_screen(
    capsys: pytest.CaptureFixture[str], wanted: str | None, history: bool
) -> None:
    _show(report(wanted=wanted, history=history), account=wanted)
    out, err = capsys.readouterr()
    assert max(len(line) for line in out.splitlines()) <= 80
    for words in ("seq 1790000000000000", "VaR 99 %", "ES 97.5 %", "1000000MOGUSDT", "152,"):
        assert words in out, words
    assert ("80 bars of 1d, 5 ahead" in out, "no history yet" in out) == (history, not history)
    assert ("–" in out) is (not history or wanted is None)
    assert "not seen: no price at all, taken at entry: BTCUSDT" in err
    assert ("over its limit: desk" in err) is (wanted is None)


def test_what_does_not_fit_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    _show(report(), account=None)
    assert "and 6 accounts that stand to lose less" in capsys.readouterr().out


def test_a_report_is_read_as_it_was_written() -> None:
    found = report()
    assert read_portfolio(encode(found)) == found


def test_a_scenario_is_a_file_or_a_name(tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text('{"name": "mine", "others": -12.5}')
    assert _read_scenario(str(file)) == {"name": "mine", "others": D("-12.5")}
    assert _read_scenario("crash") == "crash"
    file.write_text("[]")
    with pytest.raises(Failed, match="not a JSON object"):
        _read_scenario(str(file))
    with pytest.raises(Failed, match="no such file"):
        _read_scenario(str(tmp_path / "absent.json"))


def test_a_risk_event_is_one_line_of_watch() -> None:
    event = RiskEvent(
        type="risk",
        seq=5,
        sub_account_id=None,
        kind="desk",
        name="desk",
        measure="es",
        state="crossed",
        limit=D("100.50"),
        actual=D("120"),
        timestamp=D("1790000000.001"),
    )
    line = describe(decode_object(encode(event)))
    assert line.endswith("desk     risk crossed     es 120, limit 100.5")
