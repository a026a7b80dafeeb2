"""The rules of the house, executable: what may be imported and called where.

An exception stands in a list here with its reason; one that is needed no more fails, too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GIVEN_THE_CLOCK = ("contract", "domain", "risk", "flows", "binance", "db", "bus", "archive")
"""Rooms that are handed clock, sleep, randomness and new ids by whoever starts the process."""
PURE = ("domain", "venue/matching")
MONEY = ("contract", "domain", "risk", "binance", "flows", "db", "venue/matching")
STATISTICS = {
    "pms/risk/boundary.py": "takes exposures in and gives cents back",
    "pms/risk/returns.py": "returns are estimates",
    "pms/risk/measures.py": "covariances and quantiles are estimates",
    "pms/risk/stress.py": "sorts what is clear; near a line decimals decide",
    "pms/risk/assess.py": "hands the matrices on",
    "pms/risk/coverage.py": "volatilities are estimates",
}
"""The files that know numpy: what they reckon with are binary floats."""


CLOCK_MODULES = {"time", "random", "secrets"}
CLOCK_CALLS = {
    "uuid1",
    "uuid4",
    "urandom",
    "utcnow",
    "today",
    "asyncio.sleep",
    "datetime.now",
    "loop.time",
}
PURE_IMPORTS = {
    "__future__",
    "abc",
    "base64",
    "bisect",
    "collections",
    "dataclasses",
    "decimal",
    "enum",
    "hashlib",
    "heapq",
    "itertools",
    "msgspec",
    "pydantic",
    "sortedcontainers",
    "typing",
    "uuid",
    "pms.contract",
    "pms.domain",
    "pms.venue.matching",
}

WAITS = {
    "pms/binance/limits.py": "the budget's own task looks again every second, and decides nothing by it",
    "pms/binance/sockets.py": "gives the loop away in a flood of frames; it waits for no time",
    "pms/bus/decisions.py": "back-off before a lost subscription is made again",
    "pms/bus/heartbeat.py": "the beat itself",
}
BINARY = {
    "pms/binance/limits.py": "minus infinity, for monotonic seconds that have not been yet",
    "pms/binance/streams.py": "minus infinity, for monotonic seconds that have not been yet",
    "pms/binance/user_stream.py": "infinity, for monotonic seconds that have not been yet",
    "pms/binance/errors.py": "the seconds of Retry-After",
}
WRITES_FILES = {
    "pms/domain/order_table.py": "generates a page of the docs; no process imports it",
    "pms/domain/incident_table.py": "generates a page of the docs; no process imports it",
}


def test_the_clock_and_chance_are_handed_in() -> None:
    found = list(calls_or_imports(GIVEN_THE_CLOCK, imports=CLOCK_MODULES, calls=CLOCK_CALLS))
    assert {place.file for place in found} == set(WAITS), found
    assert {place.what for place in found} == {"asyncio.sleep"}, found


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from time import monotonic",
        "import os, random",
        "from secrets import token_hex",
        "x = uuid4()",
        "from uuid import uuid4",
        "x = uuid.uuid4()",
        "f(new_id=uuid.uuid4)",
        "x = os.urandom(8)",
        "x = datetime.datetime.now(UTC)",
        "x = date.today()",
        "async def f(): await asyncio.sleep(1)",
        "from asyncio import sleep",
        "def f(sleep=asyncio.sleep): pass",
    ],
)
def test_a_clock_of_ones_own_is_found(line: str) -> None:
    assert list(offences(ast.parse(line), imports=CLOCK_MODULES, calls=CLOCK_CALLS))


@pytest.mark.parametrize(
    "line", ["x = uuid5(a, b)", "await_ = deps.sleep", "x = clock.now_ms()", "import times"]
)
def test_a_clock_handed_in_is_not(line: str) -> None:
    assert not list(offences(ast.parse(line), imports=CLOCK_MODULES, calls=CLOCK_CALLS))


def test_statistics_stay_in_their_room() -> None:
    users = {path for path, tree in trees(("",)) if any(within(name, {"numpy"}) for name in imported(tree))}
    assert users == set(STATISTICS)
    impure = {
        path: [
            name
            for name in imported(tree)
            if not within(name, PURE_IMPORTS | {"numpy", "statistics", "pms.risk"})
        ]
        for path, tree in trees(("risk",))
    }
    assert not any(impure.values()), impure


def test_domain_and_matching_import_nothing_that_does_anything() -> None:
    impure = {
        path: [name for name in imported(tree) if not within(name, PURE_IMPORTS)]
        for path, tree in trees(PURE)
    }
    assert {path for path, names in impure.items() if names} == set(WRITES_FILES), impure
    assert not [path for path, tree in trees(("",)) if "pms.domain.order_table" in set(imported(tree))]


def test_no_money_passes_through_a_binary_float() -> None:
    found = list(calls_or_imports(MONEY, imports=set(), calls={"float", "isclose", "math.fsum"}))
    assert {place.file for place in found} == set(BINARY), found
    # A float literal in money code would be a rate or an amount
    literals = [
        (path, node.lineno, node.value)
        for path, tree in trees(("domain", "venue/matching"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]
    assert literals == []


@pytest.mark.parametrize(
    "word",
    [
        "memory://",
        "task_always_eager",
        "fakeredis",
        "sqlite",
        "unittest.mock",
        "MagicMock",
    ],
)
def test_nothing_stands_in_for_the_real_thing(word: str) -> None:
    """The venue's own history is no stand-in: it is a file of the venue's, as its journal is."""
    own = ("pms/venue/store/", "pms/cli/venue_verify.py") if word == "sqlite" else ("/",)
    found = [path for path, text in sources() if word.lower() in text.lower()]
    assert [path for path in found if not path.startswith(own)] == []


def test_the_product_does_not_know_that_it_is_tested() -> None:
    words = re.compile(r"pytest|hypothesis|in_?test|is_?test|under_test", re.IGNORECASE)
    found = [
        (path, line) for path, text in sources("pms") for line in text.splitlines() if words.search(line)
    ]
    assert found == []


def test_every_file_says_what_it_is_for() -> None:
    assert [path for path, tree in trees(("",)) if not ast.get_docstring(tree)] == []


def test_every_room_is_there() -> None:
    assert [
        room for room in {*GIVEN_THE_CLOCK, *PURE, *MONEY} if not list((ROOT / "pms" / room).glob("*.py"))
    ] == []


class Place:
    """Something found in a file."""

    def __init__(self, file: str, line: int, what: str) -> None:
        self.file, self.line, self.what = file, line, what

    def __repr__(self) -> str:
        return f"{self.file}:{self.line} {self.what}"


def trees(rooms: tuple[str, ...]) -> Iterator[tuple[str, ast.Module]]:
    for room in rooms:
        for path in sorted((ROOT / "pms" / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), parsed(path)


@cache
def parsed(path: Path) -> ast.Module:
    text = path.read_text()
    try:
        return ast.parse(text)
    except SystemError:
        # CPython 3.11 counts all threads' depth as one: another parsed a traceback meanwhile (gh-106905)
        return ast.parse(text)


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def within(name: str, allowed: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


def calls_or_imports(rooms: tuple[str, ...], *, imports: set[str], calls: set[str]) -> Iterator[Place]:
    for file, tree in trees(rooms):
        for line, name in offences(tree, imports=imports, calls=calls):
            yield Place(file, line, name)


def offences(tree: ast.Module, *, imports: set[str], calls: set[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        for name in mentioned(node):
            if name in imports or any(f".{name}".endswith(f".{call}") for call in calls):
                yield getattr(node, "lineno", 0), name


def mentioned(node: ast.AST) -> list[str]:
    """What a node imports, calls or hands on, as it is written."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        return [module, *(f"{module}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Attribute):
        return [ast.unparse(node)]
    return [node.func.id] if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else []


def sources(*tops: str) -> Iterator[tuple[str, str]]:
    """The text of every source file but this one, which names what it forbids."""
    names = {".py", ".lua", ".mjs", ".js", ".ts", ".toml", ".in", ".lock", ".json", ".ini", ".mako", ".yaml"}
    for top in tops or ("pms", "tests", "benchmarks", "gateway", "."):
        walk = (ROOT / top).glob("*") if top == "." else (ROOT / top).rglob("*")
        for path in sorted(walk):
            if path.suffix in names and "node_modules" not in path.parts and path != Path(__file__):
                yield path.relative_to(ROOT).as_posix(), path.read_text()
