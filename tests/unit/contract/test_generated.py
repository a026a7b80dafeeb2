"""The files that other languages read say what the models say."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from pms.contract import codes, schema
from pms.contract.events import Price
from pms.contract.money import encode
from pms.contract.reading import COMMANDS

DIRECTORY = Path(__file__).parents[3] / "docs" / "contract"


@pytest.mark.parametrize("name", schema.files())
def test_generated_file_is_current(name: str) -> None:
    assert (DIRECTORY / name).read_text() == schema.files()[name], "run `make contract`"


def test_every_code_has_a_meaning() -> None:
    assert list(schema.code_meanings()) == [code.value for code in codes.Code]
    assert all(len(meaning) > 10 for meaning in schema.code_meanings().values())


def test_every_command_has_a_type_and_a_schema() -> None:
    tree = json.loads(schema.json_schema())
    types = schema.typescript()
    for task, model in COMMANDS.items():
        assert tree["x-commands"][task] == {"$ref": f"#/$defs/{model.__name__}"}
        assert set(tree["$defs"][model.__name__]["properties"]) == {
            field.alias for field in model.model_fields.values()
        }
        assert f'  "{task}": {model.__name__};' in types


def test_commands_take_numeric_strings_and_events_give_numbers() -> None:
    shapes = schema.definitions()
    assert shapes["Trade"]["properties"]["quantity"]["type"] == ["number", "string"]
    assert shapes["Price"]["properties"]["bid"]["type"] == "number"
    assert encode(Price(bid=Decimal("0.10"), ask=Decimal("2E-7"), mid=Decimal(1), ts=3)) == (
        b'{"bid":0.1,"ask":2E-7,"mid":1,"ts":3}'
    )


def test_what_goes_out_names_every_field() -> None:
    for name in ("Result", "OrderEvent", "PositionEvent", "Account", "Health"):
        shape = schema.definitions()[name]
        assert shape["required"] == list(shape["properties"])


def test_the_generator_writes_into_the_named_directory(tmp_path: Path) -> None:
    assert schema.main([str(tmp_path / "new")]) == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(schema.files())
    assert schema.main([]) == 2
