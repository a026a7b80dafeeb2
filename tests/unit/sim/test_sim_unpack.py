"""Messages that scripts unpack: read in Lua as they are read in Python, whatever is in them."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pms.sim.machines.redis.scripts import Scripts

EDGES = [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, -1, -32, -33, -128, -129, -(2**15), -(2**31)]
SIMPLE = st.none() | st.booleans() | st.sampled_from(EDGES) | st.integers(-(2**40), 2**40) | st.text()
LONG = st.sampled_from(["x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 65536])
# A hole in a list is its end in Lua; no script is sent one.
PART = SIMPLE.filter(lambda value: value is not None) | LONG | st.floats(allow_nan=False)
SHAPE = st.recursive(
    PART,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
)
TELL = b"""
function(unpack_message, text)
  local function told(value)
    if type(value) ~= 'table' then return type(value) .. ':' .. tostring(value) end
    local parts = {}
    for name, part in pairs(value) do parts[#parts + 1] = told(name) .. '=' .. told(part) end
    table.sort(parts)
    return '{' .. table.concat(parts, ',') .. '}'
  end
  return told(unpack_message(text))
end
"""


@cache
def lua() -> tuple[Scripts, Any]:
    scripts = Scripts()
    return scripts, scripts._lua.eval(TELL)


@given(SHAPE | SIMPLE)
def test_lua_reads_a_message_as_python_does(value: object) -> None:
    scripts, tell = lua()
    text = msgspec.msgpack.encode(value)
    assert tell(scripts._lua.eval(b"cmsgpack.unpack"), text) == tell(scripts._unpack, text)


def test_lists_and_maps_of_every_length_are_read() -> None:
    scripts, tell = lua()
    for length in (0, 15, 16, 65536):
        for value in (["a"] * length, {str(each): each for each in range(length)}):
            text = msgspec.msgpack.encode(value)
            assert tell(scripts._lua.eval(b"cmsgpack.unpack"), text) == tell(scripts._unpack, text)
