-- Record a command of unknown age together with its refusal, and announce it: one step, so that nobody
-- can decide it in between and nobody is woken.
--
-- KEYS  1 pms:request:{requestId}   2 pms:result:{requestId}   3 pms:inbox
-- ARGV  1 requestId  2 command name  3 text (JSON)  4 refusal (JSON)  5 seconds to keep the record
--       6 seconds to keep the result  7 door
--
-- Returns 'new' | 'repeat' | 'conflict' | 'bad', as submit.lua does: what was recorded before stands.
if #ARGV[1] == 0 or #ARGV[1] > 64 or string.find(ARGV[1], '[^!-~]') or string.find(ARGV[1], '["\\/]') then
  return 'bad'
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local first = redis.call('HMGET', KEYS[1], 'text', 'command')
if first[1] then
  if first[1] == ARGV[3] and first[2] == ARGV[2] then return 'repeat' end
  redis.call('RPUSH', KEYS[3], cjson.encode({
    kind = 'conflict', request_id = ARGV[1], command = ARGV[2], text = ARGV[3], at = now}))
  return 'conflict'
end

redis.call('HSET', KEYS[1], 'command', ARGV[2], 'text', ARGV[3], 'at', now, 'deadline', now, 'door', ARGV[7],
  'decision', 'refused', 'answer', ARGV[4], 'result', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[6])
redis.call('PUBLISH', KEYS[2], ARGV[4])
return 'new'
