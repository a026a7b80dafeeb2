-- The rate budget that all processes share: tell what was sent, take what is about to be, learn the rest.
--
-- KEYS  1 pms:rate:budget  hash  start:N used:N limit:N for the counts N = 1 weight of a minute,
--                                2 orders of a minute, 3 orders of ten seconds;
--                                blocked, blocked_orders: Redis time, ms
-- ARGV  1-3   wanted now                     4-6   up to where the asking lane may use each, -1: no limit
--       7-9   sent since the last call       10-12 the starts of the windows it was sent in
--       13-15 what the exchange counted in those windows
--       16-17 ms for which nobody must send anything; ms for which nobody must send orders
--       18-20 the exchange's limits, 0: none; '' where they are not told
--
-- Time is Redis' own, windows begin at its whole minutes and tens of seconds. A report of a window that is
-- over is dropped. Returns {now, granted 1 or 0, ms until there may be room, blocked, blocked_orders,
-- start ×3, used ×3, limit ×3 or -1}.
local WINDOW = {60000, 60000, 10000}
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'start:1', 'start:2', 'start:3', 'used:1', 'used:2', 'used:3',
  'limit:1', 'limit:2', 'limit:3', 'blocked', 'blocked_orders')
local blocked, blocked_orders = tonumber(known[10] or 0), tonumber(known[11] or 0)
blocked = math.max(blocked, ARGV[16] ~= '0' and now + ARGV[16] or 0)
blocked_orders = math.max(blocked_orders, ARGV[17] ~= '0' and now + ARGV[17] or 0)

local start, used, limit = {}, {}, {}
local granted, wait = 1, 0
local orders_wanted = tonumber(ARGV[2]) > 0
local stop = math.max(blocked, orders_wanted and blocked_orders or 0)
if stop > now then granted, wait = 0, stop - now end
for i = 1, 3 do
  start[i] = now - now % WINDOW[i]
  used[i] = tonumber(known[i] or 0) == start[i] and tonumber(known[3 + i]) or 0
  if tonumber(ARGV[9 + i]) == start[i] then
    used[i] = math.max(used[i] + ARGV[6 + i], tonumber(ARGV[12 + i]))
  end
  local wanted, cap = tonumber(ARGV[i]), tonumber(ARGV[3 + i])
  if wanted > 0 and cap >= 0 and used[i] + wanted > cap then
    granted, wait = 0, math.max(wait, start[i] + WINDOW[i] - now)
  end
  limit[i] = ARGV[17 + i] ~= '' and tonumber(ARGV[17 + i]) or tonumber(known[6 + i] or -1)
end
for i = 1, 3 do
  if granted == 1 then used[i] = used[i] + ARGV[i] end
  -- A look that changes nothing writes nothing: it would cost an fsync.
  if used[i] > 0 and used[i] ~= (tonumber(known[i] or 0) == start[i] and tonumber(known[3 + i]) or 0) then
    redis.call('HSET', KEYS[1], 'start:' .. i, start[i], 'used:' .. i, used[i])
  end
  if ARGV[17 + i] ~= '' then redis.call('HSET', KEYS[1], 'limit:' .. i, limit[i]) end
end
if ARGV[16] ~= '0' or ARGV[17] ~= '0' then
  redis.call('HSET', KEYS[1], 'blocked', blocked, 'blocked_orders', blocked_orders)
end
return {now, granted, wait, blocked, blocked_orders,
  start[1], start[2], start[3], used[1], used[2], used[3], limit[1], limit[2], limit[3]}
