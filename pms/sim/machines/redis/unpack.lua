-- cmsgpack.unpack as our scripts need it: in Lua, for each table that Python makes costs a crossing.
--
-- Returns a function of a function: the second takes the whole text where a type is none of these (floats,
-- binaries, extensions, negative numbers of eight bytes).
local byte, sub = string.byte, string.sub
local read

local function big_endian(text, at, count)
  local value = 0
  for place = at, at + count - 1 do value = value * 256 + byte(text, place) end
  return value, at + count
end

local function list(text, at, count)
  local made = {}
  for place = 1, count do made[place], at = read(text, at) end
  return made, at
end

local function map(text, at, count)
  local made, name = {}, nil
  for _ = 1, count do
    name, at = read(text, at)
    made[name], at = read(text, at)
  end
  return made, at
end

local function words(text, at, count)
  return sub(text, at, at + count - 1), at + count
end

-- By first byte: how many bytes the length or the number has, and what is read so.
local SIZED = {
  [0xD9] = {1, words}, [0xDA] = {2, words}, [0xDB] = {4, words},
  [0xDC] = {2, list}, [0xDD] = {4, list}, [0xDE] = {2, map}, [0xDF] = {4, map},
}
local UNSIGNED = {[0xCC] = 1, [0xCD] = 2, [0xCE] = 4, [0xCF] = 8}
local SIGNED = {[0xD0] = 1, [0xD1] = 2, [0xD2] = 4}
local STRANGE = {}

function read(text, at)
  local kind = byte(text, at)
  at = at + 1
  if kind < 0x80 then return kind, at end
  if kind < 0x90 then return map(text, at, kind - 0x80) end
  if kind < 0xA0 then return list(text, at, kind - 0x90) end
  if kind < 0xC0 then return sub(text, at, at + kind - 0xA1), at + kind - 0xA0 end
  if kind >= 0xE0 then return kind - 0x100, at end
  if kind == 0xC0 then return nil, at end
  if kind == 0xC2 then return false, at end
  if kind == 0xC3 then return true, at end
  local count
  local sized = SIZED[kind]
  if sized then
    count, at = big_endian(text, at, sized[1])
    return sized[2](text, at, count)
  end
  if UNSIGNED[kind] then return big_endian(text, at, UNSIGNED[kind]) end
  local width = SIGNED[kind]
  if not width then error(STRANGE) end
  count, at = big_endian(text, at, width)
  local half = 2 ^ (8 * width - 1)
  return count < half and count or count - 2 * half, at
end

return function(otherwise)
  return function(text)
    local good, found = pcall(read, text, 1)
    if good then return found end
    if found ~= STRANGE then error(found) end
    return otherwise(text)
  end
end
