"""Our very Lua scripts, run by Lua 5.1 as Redis embeds it, with `redis`, `cjson` and `cmsgpack`.

What a script sees is what Redis shows it: nil is false, a status is a table, numbers in arguments
become texts, and a number in the reply loses its fraction.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from lupa import lua51

from pms.sim.machines.redis.commands import Reply, Status
from pms.sim.machines.redis.keyspace import Refusal

Call = Callable[[list[bytes]], Reply]
_PRELUDE = b"""
return function(call, encode, unpack_message, decode, pack_message)
  redis = {
    call = call,
    sha1hex = nil,
    error_reply = function(text) return {err = text} end,
    status_reply = function(text) return {ok = text} end,
  }
  cjson = {encode = encode, decode = decode}
  cmsgpack = {pack = pack_message, unpack = unpack_message}
end
"""


_TABLE = b"return function(...) return {...} end"
UNPACK = Path(__file__).with_name("unpack.lua")
FEW = 24


class Scripts:
    """One Lua interpreter; it may serve any number of servers, one after the other."""

    def __init__(self) -> None:
        self._lua: Any = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=False)
        self._compiled: dict[bytes, Any] = {}
        self._call: Call = _nobody
        self._table: Any = self._lua.execute(_TABLE)
        unpack = self._lua.execute(UNPACK.read_bytes())(self._unpack)
        self._lua.execute(_PRELUDE)(self._redis_call, self._encode, unpack, self._decode, self._pack)

    def run(self, text: bytes, keys: list[bytes], args: list[bytes], call: Call) -> Reply:
        """Run a script; `call` executes its commands. Raises Refusal."""
        compiled = self._compiled.get(text)
        if compiled is None:
            source = b"return function(KEYS, ARGV)\n" + text + b"\nend"
            compiled = self._compiled[text] = self._lua.execute(source)
        self._call = call
        try:
            return self._reply(compiled(self._list(keys), self._list(args)))
        except lua51.LuaError as error:
            raise Refusal(f"ERR Error running script: {error}") from None
        finally:
            self._call = _nobody

    def _redis_call(self, *words: Any) -> Any:
        return self._told(self._call([each if type(each) is bytes else _word(each) for each in words]))

    def _told(self, reply: Reply) -> Any:
        """A reply as a script sees it."""
        kind = type(reply)
        if kind is bytes or kind is int:
            return reply
        if reply is None:
            return False
        if kind is Status:
            return self._lua.table_from({b"ok": bytes(reply)})
        if kind is list:
            return self._list([each if type(each) is bytes else self._told(each) for each in reply])
        return reply

    def _list(self, items: list[Any]) -> Any:
        """A table of items; Lua makes a short one much faster than lupa does."""
        return self._table(*items) if len(items) <= FEW else self._lua.table_from(items)

    def _reply(self, value: Any) -> Reply:
        """What a script returned, as a client sees it."""
        if value is None or value is False:
            return None
        if value is True:
            return 1
        if isinstance(value, float):
            return int(value)
        if isinstance(value, int | bytes):
            return value
        if (failed := value[b"err"]) is not None:
            raise Refusal(failed.decode())
        if (status := value[b"ok"]) is not None:
            return Status(status)
        return [each if type(each) is int else self._reply(each) for each in self._items(value)]

    def _items(self, value: Any) -> list[Any]:
        """A table's items up to the first nil."""
        return [value[place] for place in range(1, len(value) + 1)]

    def _unpack(self, text: bytes) -> Any:
        """What `unpack.lua` does not read."""
        return self._table_of(msgspec.msgpack.decode(text))

    def _pack(self, value: Any) -> bytes:
        """cmsgpack.pack, of numbers, texts and lists of them: what our scripts pack."""
        return msgspec.msgpack.encode(self._plain(value))

    def _plain(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return value.decode()
        if value is None or isinstance(value, int | float):
            return int(value) if isinstance(value, float) and value.is_integer() else value
        return [self._plain(each) for each in self._items(value)]

    def _decode(self, text: bytes) -> Any:
        return self._table_of(msgspec.json.decode(text))

    def _table_of(self, value: Any) -> Any:
        kind = type(value)
        if kind is str:
            return value.encode()
        if kind is list:
            return self._list([each if type(each) is int else self._table_of(each) for each in value])
        if kind is dict:
            return self._lua.table_from({_name(k): self._table_of(v) for k, v in value.items()})
        return value

    def _encode(self, value: Any) -> bytes:
        """cjson.encode; an object's names in order, for the same run must give the same text."""
        if value is None:
            return b"null"
        if isinstance(value, bool):
            return b"true" if value else b"false"
        if isinstance(value, bytes):
            return _quoted(value)
        if isinstance(value, int | float):
            return b"%.14g" % value
        pairs = sorted((_word(name), part) for name, part in value.items())
        if pairs and all(isinstance(name, int) for name, _ in value.items()):
            return b"[" + b",".join(self._encode(part) for part in self._items(value)) + b"]"
        return b"{" + b",".join(_quoted(name) + b":" + self._encode(part) for name, part in pairs) + b"}"


def _name(value: Any) -> Any:
    return value.encode() if type(value) is str else value


def _word(value: Any) -> bytes:
    """An argument of a command as Redis takes it from Lua."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, float):
        return b"%.17g" % value
    raise Refusal("ERR Lua redis() command arguments must be strings or integers")


_ESCAPES = {bytes((code,)): b"\\u%04x" % code for code in (*range(0x20), 0x7F)}
_ESCAPES |= {b"\b": b"\\b", b"\t": b"\\t", b"\n": b"\\n", b"\f": b"\\f", b"\r": b"\\r"}
_ESCAPES |= {b'"': b'\\"', b"/": b"\\/", b"\\": b"\\\\"}
_TROUBLE = re.compile(rb'[\x00-\x1f"/\\\x7f]')


def _quoted(text: bytes) -> bytes:
    """A string as cjson writes it: bytes passed on, controls, quotes and slashes escaped."""
    return b'"' + _TROUBLE.sub(lambda found: _ESCAPES[found[0]], text) + b'"'


def _nobody(_: list[bytes]) -> Reply:
    raise Refusal("ERR no script is running")
