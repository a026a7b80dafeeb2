-- Give a command its result, once, and announce it; only who leads may, in the Redis that he knows.
--
-- KEYS  1 pms:request:{requestId}  2 pms:result:{requestId}  3 pms:requests:open
--       4 pms:requests:unfolded    5 pms:epoch  hash: nonce run_id
-- ARGV  1 requestId  2 result (JSON)  3 seconds to keep it  4 seconds to keep the record
--       5 nonce of the caller
-- Returns 1 if this result was the first, else 0: then the first is announced again
--       | -1: the epoch is another's, or Redis began anew. What the caller remembers may never have been.
local epoch = redis.call('HMGET', KEYS[5], 'nonce', 'run_id')
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if epoch[1] ~= ARGV[5] or epoch[2] ~= run_id then return -1 end

local first = redis.call('HSETNX', KEYS[1], 'result', ARGV[2])
local text = first == 1 and ARGV[2] or redis.call('HGET', KEYS[1], 'result')
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('SET', KEYS[2], text, 'EX', ARGV[3])
redis.call('PUBLISH', KEYS[2], text)
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
return first
