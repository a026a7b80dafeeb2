-- Count what was sent and learn what all processes together have sent, in the exchange's windows.
--
-- KEYS  1 prefix: pms:rate
--       {prefix}:weight:{minute} {prefix}:orders1m:{minute} {prefix}:orders10s:{tenth}   counters
--       {prefix}:blocked   string: exists while the exchange has turned us away
-- ARGV  1-3 weight, orders, orders sent since the last call   (1m weight, 1m orders, 10s orders)
--       4-6 the same as the exchange's headers counted, or -1
--       7 milliseconds for which everybody must stop, or 0
-- Returns {weight, orders1m, orders10s, ms into the minute, ms blocked}.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local minute, tenth = math.floor(now / 60000), math.floor(now / 10000)
local keys = {
  KEYS[1] .. ':weight:' .. minute, KEYS[1] .. ':orders1m:' .. minute, KEYS[1] .. ':orders10s:' .. tenth}
local seconds = {70, 70, 20}
local reply = {}
for i = 1, 3 do
  local total = redis.call('INCRBY', keys[i], ARGV[i])
  local counted = tonumber(ARGV[3 + i])
  if counted > total then
    redis.call('SET', keys[i], counted)
    total = counted
  end
  redis.call('EXPIRE', keys[i], seconds[i])
  reply[i] = total
end
local stop = tonumber(ARGV[7])
if stop > redis.call('PTTL', KEYS[1] .. ':blocked') then
  redis.call('SET', KEYS[1] .. ':blocked', '1', 'PX', stop)
end
reply[4] = now % 60000
reply[5] = math.max(redis.call('PTTL', KEYS[1] .. ':blocked'), 0)
return reply
