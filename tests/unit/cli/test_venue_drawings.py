"""What is drawn of the venue: a book as a ladder, a scenario as a chart."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from pms.cli.main import cli
from pms.cli.market_chart import draw
from pms.cli.venue_book import ladder
from pms.venue.background.rehearsal import Rehearsal
from pms.venue.background.scenario import SCENARIOS
from pms.venue.symbols import SHIPPED, SymbolTable

DOCS = Path(__file__).parents[3] / "docs"
SVG = "{http://www.w3.org/2000/svg}"
BOOK = {
    "bids": [["99.90", "2.000"], ["99.80", "0.001"], ["99.00", "4.000"]],
    "asks": [["100.10", "1.000"], ["100.30", "3.000"], ["101.00", "1.500"]],
}


def test_a_ladder_has_asks_above_and_bids_below_and_bars_by_size() -> None:
    lines = ladder("XUSDT", BOOK, depth=2, width=80).plain.splitlines()
    assert [line.split()[:3] for line in lines if "─" not in line] == [
        ["price", "quantity", "total"],
        ["100.30", "3.000", "4.000"],
        ["100.10", "1.000", "1.000"],
        ["99.90", "2.000", "2.000"],
        ["99.80", "0.001", "2.001"],
    ]
    assert lines[3].startswith("── spread 0.2 (20 bp) ── mid 100 ──")
    assert max(map(len, lines)) == 80
    bars = [line.count("█") for line in lines]
    assert bars[1] == pytest.approx(3 * bars[2], abs=2)
    assert lines[5].endswith("▏"), "whatever is not nothing is seen"


@pytest.mark.parametrize(("gone", "told"), [(["asks"], "no asks"), (["bids", "asks"], "no bids and asks")])
def test_a_side_that_is_empty_is_said_to_be(gone: list[str], told: str) -> None:
    lines = ladder("XUSDT", BOOK | {side: [] for side in gone}, depth=9, width=60).plain.splitlines()
    assert any(line.startswith(f"── {told} ──") for line in lines)
    assert max(map(len, lines)) == 60


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize(("scenario", "count"), [("crash", 1000), ("calm", 40)])
def test_a_chart_has_every_phase_and_candle_and_stays_within_its_frame(scenario: str, count: int) -> None:
    symbol = SymbolTable.load(SHIPPED).by_name["ETHUSDT"]
    rehearsal = Rehearsal(symbol, seed=1, scenario=SCENARIOS[scenario])
    moments = [rehearsal.step() for _ in range(count)]
    svg = draw(symbol, moments, title="<ETH & others>")
    assert svg == draw(symbol, moments, title="<ETH & others>")
    told = texts(svg)
    assert told[0] == "<ETH & others>"
    assert {each.phase for each in moments} <= set(told)
    root = ElementTree.fromstring(svg)
    wide, high = (float(each) for each in root.attrib["viewBox"].split()[2:])
    bars = [each.attrib for each in root.iter(f"{SVG}rect") if "x" in each.attrib]
    assert len(bars) > count / 10
    for each in bars:
        assert float(each["x"]) >= 0 <= float(each["y"])
        assert float(each["x"]) + float(each["width"]) <= wide
        assert float(each["y"]) + float(each["height"]) <= high


def test_the_drawing_in_the_docs_is_of_the_scenario_as_it_is() -> None:
    told = texts((DOCS / "venue-market.svg").read_text(encoding="utf-8"))
    assert [phase.name for phase in SCENARIOS["crash"].phases] == told[1 : 1 + len(SCENARIOS["crash"].phases)]
    assert "venue-market.svg" in (DOCS / "venue.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in (DOCS / "venue.md").read_text(encoding="utf-8") for name in SCENARIOS)


def test_it_is_drawn_from_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "range.svg"
    arguments = ["venue", "plot", "--scenario", "range", "--seconds", "20", "--out"]
    result = CliRunner().invoke(cli, [*arguments, str(out)])
    assert (result.exit_code, result.output) == (0, f"{out}: range, 20 s of BTCUSDT\n")
    assert texts(out.read_text(encoding="utf-8"))[0] == "BTCUSDT, made up: scenario range, seed 1"
    refused = CliRunner().invoke(cli, [*arguments, str(tmp_path / "no" / "x.svg")])
    assert (refused.exit_code, "cannot be written" in refused.output) == (1, True)
    refused = CliRunner().invoke(cli, [*arguments, str(out), "--symbol", "XUSDT"])
    assert (refused.exit_code, "must be one of BTCUSDT, " in refused.output) == (1, True)


@pytest.mark.parametrize("name", ["book", "fund", "plot"])
def test_every_command_of_the_venue_has_help_of_80_columns(name: str) -> None:
    result = CliRunner().invoke(cli, ["venue", name, "--help"], terminal_width=80)
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert f"  {name} " in CliRunner().invoke(cli, ["venue", "--help"]).output
