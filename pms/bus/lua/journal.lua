-- Append entries to the journal, each with everything that follows from it, or nothing at all.
--
-- KEYS  1 pms:epoch     hash: nonce run_id base
--       2 pms:journal   stream: {seq}-0 -> e
-- ARGV  1 nonce of the caller
--       2 msgpack: list of {id, prev, body, guard, effects, else_body, else_effects}
--         guard: false
--              | {pms:request:{id}, deadline}   no decision yet, and in time or claimed
--         effects: Redis commands as lists; or {'RESULT', requestId, json, seconds}: the answer to a
--         command, written once, announced, and taken off pms:requests:open; or {'SO_FAR', requestId,
--         json}: what its deadline is to answer, if that comes first; or {'UNHALT', key, requestId,
--         standing}: lifts that halt, but not another that was recorded meanwhile; the one that stands, or
--         '', is in its place then
--
-- Returns {'ok', 1 written | 2 guard failed, 'else' written, ...} | {'in'} the very same call again
--       | {'nonce'} | {'run_id'} | {'gap', last}: the caller must step down and recover.
-- The explicit id comes first: a wrong one aborts before any effect.
local epoch = redis.call('HMGET', KEYS[1], 'nonce', 'run_id', 'base')
if epoch[1] ~= ARGV[1] then return {'nonce'} end
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if epoch[2] ~= run_id then return {'run_id'} end

local batch = cmsgpack.unpack(ARGV[2])
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
if newest[1] then
  local last = string.match(newest[1][1], '^(%d+)')
  -- `base` is what the epoch began from: behind a lost tail that is PostgreSQL's seq, not ours.
  local resumes = batch[1][2] == epoch[3] and tonumber(last) < tonumber(epoch[3])
  if last ~= batch[1][2] and not resumes then
    local tail = batch[#batch]
    local seen = redis.call('XRANGE', KEYS[2], tail[1], tail[1])
    if seen[1] and (seen[1][2][2] == tail[3] or seen[1][2][2] == tail[6]) then return {'in'} end
    return {'gap', last}
  end
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function holds(guard)
  if not guard then return true end
  local record = redis.call('HMGET', guard[1], 'decision', 'claimed')
  return not record[1] and (now <= tonumber(guard[2]) or record[2] == ARGV[1])
end

local function result(request_id, text, seconds)
  local record, key = 'pms:request:' .. request_id, 'pms:result:' .. request_id
  if redis.call('HSETNX', record, 'result', text) == 0 then return end
  redis.call('EXPIRE', record, 86400)
  redis.call('SET', key, text, 'EX', seconds)
  redis.call('PUBLISH', key, text)
  redis.call('ZREM', 'pms:requests:open', request_id)
end

local function so_far(request_id, text)
  local record = 'pms:request:' .. request_id
  local known = redis.call('HMGET', record, 'decision', 'result')
  if known[1] and not known[2] then redis.call('HSET', record, 'answer', text) end
end

local function unhalt(key, request_id, standing)
  local halt = redis.call('GET', key)
  if not halt then return end
  local named = string.match(halt, '"requestId":"([^"]*)"}$')
  if named ~= request_id and (named or request_id ~= 'by hand') then return end
  if standing == '' then redis.call('DEL', key) else redis.call('SET', key, standing) end
end

local status = {'ok'}
for _, entry in ipairs(batch) do
  local good = holds(entry[4])
  redis.call('XADD', KEYS[2], entry[1], 'e', good and entry[3] or entry[6])
  for _, effect in ipairs(good and entry[5] or entry[7]) do
    if effect[1] == 'RESULT' then
      result(effect[2], effect[3], effect[4])
    elseif effect[1] == 'SO_FAR' then
      so_far(effect[2], effect[3])
    elseif effect[1] == 'UNHALT' then
      unhalt(effect[2], effect[3], effect[4])
    else
      redis.call(unpack(effect))
    end
  end
  status[#status + 1] = good and 1 or 2
end
return status
