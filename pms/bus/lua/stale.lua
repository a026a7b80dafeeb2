-- Record a command of unknown age together with its refusal, and announce it: one step, so that nobody
-- can decide it in between and nobody is woken.
--
-- KEYS  1 pms:request:{requestId}   2 pms:result:{requestId}   3 pms:inbox   4 pms:requests:open
--       5 pms:epoch                 hash: known forgot forgot_at
-- ARGV  1 requestId  2 command name  3 text (JSON)  4 refusal (JSON)  5 seconds to keep the record
--       6 seconds to keep the result  7 door  8 seconds for which a request is remembered
--
-- Returns 'new' | 'repeat' | 'conflict' | 'bad', as submit.lua does: what was recorded before stands.
-- 'open': Redis may have forgotten that this very command was admitted and sent, so that nobody but the
-- streamer may say that it was not (settle.lua). It is recorded past its deadline, and he decides.
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

local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local epoch = redis.call('HMGET', KEYS[5], 'known', 'forgot', 'forgot_at')
local forgot = epoch[2] == run_id and tonumber(clock[1]) - tonumber(epoch[3] or clock[1]) < tonumber(ARGV[8])
if epoch[1] ~= run_id or forgot then
  redis.call('HSET', KEYS[1], 'command', ARGV[2], 'text', ARGV[3], 'at', now, 'deadline', now - 1,
    'door', ARGV[7], 'run', run_id)
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  redis.call('ZADD', KEYS[4], now, ARGV[1])
  redis.call('RPUSH', KEYS[3], cjson.encode({
    kind = 'command', request_id = ARGV[1], command = ARGV[2], text = ARGV[3], at = now, deadline = now - 1,
    run_id = run_id}))
  return 'open'
end

redis.call('HSET', KEYS[1], 'command', ARGV[2], 'text', ARGV[3], 'at', now, 'deadline', now, 'door', ARGV[7],
  'decision', 'refused', 'answer', ARGV[4], 'result', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[6])
redis.call('PUBLISH', KEYS[2], ARGV[4])
return 'new'
