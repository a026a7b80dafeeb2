-- Become the streamer, or stay it: the lease is held by a random nonce, compared for equality.
--
-- KEYS  1 pms:lease  string: nonce, with an expiry    2 pms:epoch  hash: nonce run_id base known forgot forgot_at
-- ARGV  1 nonce  2 lease, ms  3 'take' | 'open' | 'base' | 'known' | 'renew' | 'leave'
--       4 seq, for 'base'; for 'known' 1 where there was an earlier life of Redis
--
-- 'take' wins a free lease; 'open' writes the epoch, after which nothing of an older one may be sent
-- and nobody else may journal; 'base' says from which seq it journals on; 'known' says that all which an
-- earlier life of Redis may have forgotten is known again, whether there was one, and since when, for a
-- replica that took over has been up for long; 'renew' prolongs;
-- 'leave' frees. Returns {1 or 0, run_id}.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local holder = redis.call('GET', KEYS[1])
if ARGV[3] == 'take' then
  if holder and holder ~= ARGV[1] then return {0, run_id} end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return {1, run_id}
end
if holder ~= ARGV[1] then return {0, run_id} end
if ARGV[3] == 'open' then
  redis.call('HSET', KEYS[2], 'nonce', ARGV[1], 'run_id', run_id, 'base', '0')
elseif ARGV[3] == 'base' then
  redis.call('HSET', KEYS[2], 'base', ARGV[4])
elseif ARGV[3] == 'known' then
  redis.call('HSET', KEYS[2], 'known', run_id)
  if ARGV[4] == '1' and redis.call('HGET', KEYS[2], 'forgot') ~= run_id then
    redis.call('HSET', KEYS[2], 'forgot', run_id, 'forgot_at', redis.call('TIME')[1])
  end
elseif ARGV[3] == 'renew' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return {1, run_id}
