-- Give a command its one answer when its deadline is over: what nobody decided is expired, what was
-- admitted and is not yet proven is 'placing', and what PostgreSQL must have is answered once it has it.
--
-- KEYS  1 pms:request:{requestId}  2 pms:result:{requestId}  3 pms:requests:open
--       4 pms:requests:unfolded     zset: requestId by the seq of its decision
--       5 pms:epoch                 hash: nonce run_id base known forgot forgot_at
--       6 pms:journal:applied       string: seq up to which PostgreSQL has the journal
-- ARGV  1 requestId  2 answer if expired
--       3 answer if admitted and unproven, or in force by the door alone (pms.halt)
--       4 seconds to keep the result  5 grace after the deadline, ms
--       6 seconds for which a request is remembered
--
-- Returns the answer, or false while it is too early.
local record = redis.call('HMGET', KEYS[1], 'deadline', 'decision', 'result', 'answer', 'claimed', 'run')
if not record[1] or record[3] then
  redis.call('ZREM', KEYS[3], ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
  return record[3]
end
local clock = redis.call('TIME')
local late = clock[1] * 1000 + math.floor(clock[2] / 1000) - tonumber(record[1])
if late <= 0 then return false end

local answer
if not record[2] and record[5] == 'door' then
  -- Nobody has decided it, and it holds: a decision may still follow
  if late <= tonumber(ARGV[5]) then return false end
  answer = ARGV[3]
elseif not record[2] then
  if record[5] then return false end  -- the streamer is deciding, and will when it is back
  -- Redis was restarted and may have forgotten a decision: only a streamer that has since asked the
  -- exchange can tell, of this command or of the one that it repeats. The streamer alone, for as long as
  -- the one of before may be repeated: Redis never learns of it.
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local epoch = redis.call('HMGET', KEYS[5], 'known', 'forgot', 'forgot_at')
  if record[6] ~= run_id or epoch[1] ~= run_id then return false end
  if epoch[2] == run_id and tonumber(clock[1]) - tonumber(epoch[3] or clock[1]) < tonumber(ARGV[6]) then
    return false
  end
  redis.call('HSET', KEYS[1], 'decision', 'expired', 'answer', ARGV[2])
  answer = ARGV[2]
elseif record[2] ~= 'admitted' then
  answer = record[4]
elseif redis.call('ZSCORE', KEYS[4], ARGV[1]) then
  -- However late: who pays out on it goes by PostgreSQL
  local seq = tonumber(redis.call('ZSCORE', KEYS[4], ARGV[1]))
  if seq > tonumber(redis.call('GET', KEYS[6]) or '0') then return false end
  answer = record[4]
elseif late > tonumber(ARGV[5]) then
  answer = ARGV[3]
else
  return false
end
redis.call('HSET', KEYS[1], 'result', answer)
redis.call('SET', KEYS[2], answer, 'EX', ARGV[4])
redis.call('PUBLISH', KEYS[2], answer)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
return answer
