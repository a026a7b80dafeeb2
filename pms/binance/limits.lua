-- The rate budget that all processes share: tell what was sent, take what is about to be, learn the rest.
--
-- KEYS  1 pms:rate:budget    hash  start:N used:N late:N limit:N for the counts N = 1 weight of a minute,
--                                  2 orders of a minute, 3 orders of ten seconds; late: of its last second
--                                  blocked, blocked_orders: until when, ms; ahead: the exchange's clock, ms
--                                  share: the ten seconds being shared out, "start room members each spare
--                                  claimed spent reduced", below
--       2 pms:rate:asked:0   hash  sub-account -> what it had of its share; those who asked in an even
--       3 pms:rate:asked:1         and in an odd ten seconds: never more than two windows' askers
-- ARGV  1 msgpack  wants[3] now, caps[3] up to where the asking lane may use each (-1: no limit),
--                  told[3] sent since the last call in the windows that began at starts[3],
--                  counted[3] by the exchange in those windows, block[2] ms for which nobody must send
--                  anything, or any order, limits[3] of the exchange (empty: not told),
--                  ahead (of Redis, of the exchange's clock, where it was just learnt), account, reduces,
--                  open[3] and reduce[3]: those lanes' caps, advance[2]: weight and orders that may be had
--                  beyond the need, calm: weight below which they are given
--
-- Time is Redis' clock set to the exchange's; windows begin at its whole minutes and tens of seconds. What was
-- given in a window's last second may arrive in the next, so it counts there again. A report of a window
-- that is over is dropped. Returns {now, granted 1 or 0, ms until there may be room, why, blocked, blocked_orders,
-- advance of weight, of orders, start x3, used x3, limit x3 or -1, ahead}; why: 0 granted, 1 to 3 the full count,
-- 4 the sub-account's share, 5 the exchange turned us away.
--
-- Sharing (docs/decisions/0130), in thousandths of an order. Who asked in the last ten seconds is a member;
-- each has a right to `each`, all newcomers together to `spare`. A right runs out as the window does: at time
-- t nobody can claim more than what a steady sender would still need, each * (1 - t). What is claimed by
-- right is always there, because a borrower must leave everybody's right untouched:
--     used + (rights not yet claimed) <= room + what reduces took of their own reserve
local ask = cmsgpack.unpack(ARGV[1])
local WINDOW = {60000, 60000, 10000}
local LATE = 1000
local known = redis.call('HMGET', KEYS[1], 'start:1', 'start:2', 'start:3', 'used:1', 'used:2', 'used:3',
  'limit:1', 'limit:2', 'limit:3', 'blocked', 'blocked_orders', 'share', 'late:1', 'late:2', 'late:3', 'ahead')
local ahead = tonumber(known[16] or 0)
local set_clock = ask.ahead and math.abs(ask.ahead - ahead) > 20
if set_clock then ahead = ask.ahead end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000) + ahead
local start, used, late, limit, before = {}, {}, {}, {}, {}
local granted, wait, why = 1, 0, 0
local advance_weight, advance_orders = 0, 0

local function refuse(reason, ms)
  granted = 0
  if ms > wait then wait, why = ms, reason end
end

-- What was sent, and what the exchange counted.
for i = 1, 3 do
  start[i] = now - now % WINDOW[i]
  used[i], late[i] = 0, 0
  local since = tonumber(known[i] or 0)
  if since == start[i] then
    used[i], late[i] = tonumber(known[3 + i]), tonumber(known[12 + i] or 0)
  elseif since == start[i] - WINDOW[i] then
    used[i] = tonumber(known[12 + i] or 0)
  end
  before[i] = used[i]
  if ask.starts[i] == start[i] then used[i] = math.max(used[i] + ask.told[i], ask.counted[i]) end
  limit[i] = ask.limits[i] or tonumber(known[6 + i] or -1)
end

-- Who turned us away.
local blocked, blocked_orders = tonumber(known[10] or 0), tonumber(known[11] or 0)
if ask.block[1] > 0 then blocked = math.max(blocked, now + ask.block[1]) end
if ask.block[2] > 0 then blocked_orders = math.max(blocked_orders, now + ask.block[2]) end
local orders = ask.wants[3]
local stop = math.max(blocked, orders > 0 and blocked_orders or 0)
if stop > now then refuse(5, stop - now) end

-- The share-out of these ten seconds, begun by whoever asks first in them.
local into = now - start[3]
local even = (start[3] / 10000) % 2
local asked, asked_last = KEYS[2 + even], KEYS[3 - even]
local shared = orders > 0 and ask.account ~= '' and (ask.open[2] >= 0 or ask.open[3] >= 0)
local slice = ask.open[3] >= 0 and ask.reduce[3] - ask.open[3] or 0
local s, begun, had, member

local function begin_share()
  local room = ask.open[3] >= 0 and ask.open[3] or ask.open[2]
  if ask.open[2] >= 0 then
    -- A quarter above an even part of what the minute still holds: its last seconds are not left empty.
    local left, parts = ask.open[2] - used[2], 6 - math.floor(now % 60000 / 10000)
    room = math.min(room, (parts == 1 and left or math.floor(left * 5 / (4 * parts))) + used[3])
  end
  local last = s and s[1]
  if last ~= start[3] - 10000 then redis.call('UNLINK', asked_last) end
  redis.call('UNLINK', asked)
  local members = redis.call('HLEN', asked_last)
  local free = math.max(room - used[3], 0) * 1000
  local each = members > 0 and math.floor(free * 3 / 4 / members) or 0
  s, begun = {start[3], math.max(room, 0), members, each, free - members * each, 0, 0, 0}, true
end

-- Of the rights, what can still be claimed: the members' and the newcomers'.
local function unclaimed()
  local paced = s[4] - math.floor(s[4] * into / 10000)
  return math.min(s[3] * s[4] - s[6], s[3] * paced) + s[5] - math.max(s[7], math.floor(s[5] * into / 10000))
end

-- Take n thousandths by right; false where there is no right to so much.
local function claim(n)
  if member then
    local from = math.max(had, math.floor(s[4] * into / 10000))
    if from + n > s[4] then return false end
    s[6], had = s[6] + from + n - had, from + n
  else
    -- A newcomer takes at most two thirds of what the newcomers have left, so that there is some for the next.
    local from = math.max(s[7], math.floor(s[5] * into / 10000))
    if from + n > s[5] or had + n > 2 * (s[5] - from) then return false end
    s[7], had = from + n, had + n
  end
  return true
end

if shared and stop <= now then
  s = known[12] and cmsgpack.unpack(known[12])
  if not s or s[1] ~= start[3] then begin_share() end
  had, member = redis.call('HGET', asked, ask.account), redis.call('HEXISTS', asked_last, ask.account) == 1
  -- Who is refused has asked, too: from the next ten seconds on it is a member.
  if not had then
    redis.call('HSET', asked, ask.account, 0)
    redis.call('PEXPIRE', asked, 30000)
  end
  had = tonumber(had or 0)
  -- Reduces that used their own reserve have not narrowed what there is for opening.
  if not ask.reduces and ask.caps[3] >= 0 then ask.caps[3] = ask.caps[3] + math.min(s[8], slice) end
end

for i = 1, 3 do
  if ask.wants[i] > 0 and ask.caps[i] >= 0 and used[i] + ask.wants[i] > ask.caps[i] then
    refuse(i, start[i] + WINDOW[i] - now)
  end
end

if s and granted == 1 then
  local n = orders * 1000
  local by_right = claim(n)
  if not by_right then
    local ceiling = (s[2] + (ask.reduces and slice or math.min(s[8], slice))) * 1000
    local missing = used[3] * 1000 + n + unclaimed() - ceiling
    if missing > 0 then
      local rate = s[3] * s[4] + s[5]
      local over = 10000 - into
      refuse(4, rate > 0 and math.min(math.ceil(missing * 10000 / rate), over) or over)
    end
  elseif orders == 1 and ask.advance[2] > 0 and used[3] * 2 < s[2] then
    local left = member and s[4] - had or s[5] - s[7]
    local more = math.min(ask.advance[2], math.floor(left / 8000))
    if ask.open[2] >= 0 then more = math.min(more, ask.open[2] - used[2] - 1) end
    if more > 0 and claim(more * 1000) then advance_orders = more end
  end
  if granted == 1 and ask.reduces then s[8] = s[8] + orders + advance_orders end
  if by_right then redis.call('HSET', asked, ask.account, had) end
end
if granted == 1 and ask.wants[1] > 0 and ask.advance[1] > 0 then
  advance_weight = math.max(math.min(ask.advance[1], ask.calm - used[1] - ask.wants[1]), 0)
end

local changed = {}
local function set(field, value)
  changed[#changed + 1] = field
  changed[#changed + 1] = value
end
for i = 1, 3 do
  if granted == 1 then used[i] = used[i] + ask.wants[i] + (i == 1 and advance_weight or advance_orders) end
  -- A look that changes nothing writes nothing: it would cost an fsync.
  if used[i] ~= before[i] then
    if now >= start[i] + WINDOW[i] - LATE then late[i] = late[i] + used[i] - before[i] end
    set('start:' .. i, start[i])
    set('used:' .. i, used[i])
    set('late:' .. i, late[i])
  end
  if ask.limits[i] then set('limit:' .. i, limit[i]) end
end
if s and (granted == 1 or begun) then set('share', cmsgpack.pack(s)) end
if set_clock then set('ahead', ahead) end
if ask.block[1] > 0 or ask.block[2] > 0 then
  set('blocked', blocked)
  set('blocked_orders', blocked_orders)
  redis.call('PUBLISH', 'pms:rate:stop', '')
end
if #changed > 0 then redis.call('HSET', KEYS[1], unpack(changed)) end
return {now, granted, wait, why, blocked, blocked_orders, advance_weight, advance_orders,
  start[1], start[2], start[3], used[1], used[2], used[3], limit[1], limit[2], limit[3], ahead}
