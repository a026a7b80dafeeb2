"""Campaigns of the same code have the same digest; of any other code, another."""

from __future__ import annotations

from pathlib import Path

from pms.sim.fingerprint import DIGITS, fingerprint


def tree(root: Path, **changed: str) -> Path:
    files = {"domain/order.py": "a", "bus/lua/lead.lua": "b", "cli/up.py": "c", "notes.md": "d"} | changed
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_it_names_what_a_world_runs_and_nothing_else(tmp_path: Path) -> None:
    was = fingerprint(tree(tmp_path / "one"))
    assert len(was) == DIGITS
    assert fingerprint(tree(tmp_path / "same")) == was
    assert fingerprint(tree(tmp_path / "operator", **{"cli/up.py": "other", "notes.md": "other"})) == was
    assert fingerprint(tree(tmp_path / "bug", **{"sim/planted/bug.py": "other"})) == was
    assert fingerprint(tree(tmp_path / "order", **{"domain/order.py": "other"})) != was
    assert fingerprint(tree(tmp_path / "script", **{"bus/lua/lead.lua": "other"})) != was
    assert fingerprint(tree(tmp_path / "moved", **{"domain/order.py": "", "domain/orders.py": "a"})) != was


def test_the_product_has_one() -> None:
    assert fingerprint() == fingerprint() != fingerprint(Path(__file__).parent)
