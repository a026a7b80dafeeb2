-- Record a command, then wake whoever decides it and whoever sends it: one step, so that no wake-up
-- exists without its record and no record without being listed as open.
--
-- KEYS  1 pms:request:{requestId}   hash: command text at deadline door run [decision answer result]
--       2 pms:requests:open         zset: requestId by Redis time, ms
--       3 pms:inbox                 list: the streamer's
--       4 the Celery queue          list: named by the message's own routing key
-- ARGV  1 requestId  2 command name  3 text (JSON, passed on untouched)  4 ttl, ms
--       5 seconds to keep the record  6 Celery message, or '' if its task is the caller  7 door
--
-- Returns {'new', deadline} | {'repeat', result or ''} | {'conflict'} | {'bad'}.
-- A repeat is the same text; the record is never overwritten. A conflict is told to the streamer,
-- which raises an incident. Bad is a requestId that is not 1 to 64 characters of ASCII which JSON
-- writes as they are: nothing is recorded, for even its refusal would be journaled under it. No index of a
-- database holds what is too long, and a halt is taken back by the id that stands in its JSON.
--
-- A plain task carries its command, and a Redis that lost its tail gives it back though it was answered: told
-- as refused, it must not be carried out now. Until a streamer has said that all is known (lead.lua), it is
-- recorded too late for that, and gets what became of it, or EXPIRED.
--
-- pms.halt holds from this very step: pms:halt or pms:halt:{sub} is set here, so that the send right is
-- refused even if every other process hangs. It never weakens a halt that stands, and it is claimed, so
-- that nobody may expire it; the streamer decides it when it can, and if it is refused puts back what stood.
if #ARGV[1] == 0 or #ARGV[1] > 64 or string.find(ARGV[1], '[^!-~]') or string.find(ARGV[1], '["\\/]') then
  return {'bad'}
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local first = redis.call('HMGET', KEYS[1], 'text', 'command', 'result')
if first[1] then
  if first[1] == ARGV[3] and first[2] == ARGV[2] then
    return {'repeat', first[3] or ''}
  end
  redis.call('RPUSH', KEYS[3], cjson.encode({
    kind = 'conflict', request_id = ARGV[1], command = ARGV[2], text = ARGV[3], at = now}))
  return {'conflict'}
end

local function halt()
  local good, halt = pcall(cjson.decode, ARGV[3])
  if not good or type(halt) ~= 'table' then return end
  local sub, mode = halt.subAccountId, halt.mode or 'HALTED'
  if sub == cjson.null then sub = nil end
  for _, text in ipairs({halt.reason or '', halt.actor or '', mode, sub or 'all'}) do
    if type(text) ~= 'string' or text == '' then return end
  end
  if (mode ~= 'HALTED' and mode ~= 'REDUCE_ONLY') or sub == 'house' or #(sub or '') > 36 then return end
  local key = sub and 'pms:halt:' .. sub or 'pms:halt'
  if mode == 'HALTED' or redis.call('EXISTS', key) == 0 then
    redis.call('SET', key, '{"mode":"' .. mode .. '","reason":' .. cjson.encode(halt.reason) .. ',"actor":' ..
      cjson.encode(halt.actor) .. ',"since":' .. string.format('%d', now) .. ',"requestId":' ..
      cjson.encode(ARGV[1]) .. '}')
  end
  redis.call('HSET', KEYS[1], 'claimed', 'door')
end

local deadline = now + tonumber(ARGV[4])
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if ARGV[7] == 'task' and KEYS[4] ~= 'urgent' and redis.call('HGET', 'pms:epoch', 'known') ~= run_id then
  deadline = now - 1
end
redis.call('HSET', KEYS[1], 'command', ARGV[2], 'text', ARGV[3], 'at', now, 'deadline', deadline, 'door', ARGV[7],
  'run', run_id)
redis.call('EXPIRE', KEYS[1], ARGV[5])
if ARGV[2] == 'pms.halt' then halt() end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('RPUSH', KEYS[3], cjson.encode({
  kind = 'command', request_id = ARGV[1], command = ARGV[2], text = ARGV[3], at = now, deadline = deadline,
  run_id = run_id}))
if ARGV[6] ~= '' then
  redis.call('LPUSH', KEYS[4], ARGV[6])
end
return {'new', deadline}
