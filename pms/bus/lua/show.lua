-- Show accounts, if the journal still ends where the caller's memory does: an entry behind it knows better.
--
-- KEYS  1 pms:epoch           hash: nonce run_id base
--       2 pms:journal         stream: {seq}-0 -> e
--       3... pms:risk:{sub}   string: the account
-- ARGV  1 nonce of the caller   2 seq of the last entry that the views know   3 seconds to keep them
--       4... of each key two: the view, and '1', or '0' where nothing is shown unless something is already
--
-- Returns 1, or 0 where the caller is behind: a call that was given up and came late, or of a dead life.
local epoch = redis.call('HMGET', KEYS[1], 'nonce', 'base')
if epoch[1] ~= ARGV[1] then return 0 end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local last = newest[1] and string.match(newest[1][1], '^(%d+)') or '0'
-- Behind a lost tail the epoch goes on from `base`: until its first entry the journal ends before it.
local resumes = ARGV[2] == epoch[2] and tonumber(last) < tonumber(epoch[2])
if last ~= ARGV[2] and not resumes then return 0 end

for place = 3, #KEYS do
  local view, always = ARGV[2 * place - 2], ARGV[2 * place - 1]
  if always == '1' then
    redis.call('SET', KEYS[place], view, 'EX', ARGV[3])
  else
    redis.call('SET', KEYS[place], view, 'XX', 'EX', ARGV[3])
  end
end
return 1
