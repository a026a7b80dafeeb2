"""The table of refusals says what the code that refuses says."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from pms.contract.codes import Code
from pms.contract.limits import LIMITS
from pms.contract.refusals import ANY, PRE_TRADE, REFUSALS, When, limit_of

ROOT = Path(__file__).parents[3] / "pms"
MAKERS = {"Refusal", "InstrumentError"}


def raised() -> dict[Code, list[dict[str, ast.expr]]]:
    """By code, the keywords of every refusal that the source makes."""
    found = defaultdict(list)
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS and node.args:
                first = node.args[0]
                word = first.attr if isinstance(first, ast.Attribute) else getattr(first, "value", None)
                if isinstance(word, str) and word in Code.__members__:
                    found[Code(word)].append({each.arg or "": each.value for each in node.keywords})
    return found


def words(expression: ast.expr) -> set[str]:
    """The texts that an expression can be; a comparison's own are none of them."""
    if isinstance(expression, ast.IfExp):
        return words(expression.body) | words(expression.orelse)
    if isinstance(expression, ast.Constant):
        return {expression.value} if isinstance(expression.value, str) else set()
    return {ANY}


def test_every_code_has_a_row() -> None:
    assert list(REFUSALS) == list(Code)


def test_a_refusal_names_no_field_but_those_of_its_row() -> None:
    found = raised()
    assert len(found) > 50
    for code, calls in found.items():
        named = set().union(*(words(call["field"]) for call in calls if "field" in call))
        assert ANY in REFUSALS[code].fields or named <= {*REFUSALS[code].fields, ANY}, code


def test_a_row_names_a_limit_where_a_refusal_does() -> None:
    for code, calls in raised().items():
        tells = any("limit" in call for call in calls)
        assert tells <= bool(limit_of(code)), code


def test_a_limit_that_refuses_has_one_code_of_its_own() -> None:
    codes = [limit.code for limit in LIMITS.values() if limit.code]
    assert len(codes) == len(set(codes))
    assert {REFUSALS[code].when for code in codes} == {When.PLACING}


def test_orders_are_refused_before_they_are_sent_for_more_reasons_than_others_have() -> None:
    """nautilus has 38."""
    assert sum(named.when is When.PLACING for named in REFUSALS.values()) > 38
    assert sum(named.when in PRE_TRADE for named in REFUSALS.values()) > 60
