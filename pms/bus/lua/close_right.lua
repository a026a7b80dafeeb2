-- Close a send right for ever: nobody sends behind it any more.
--
-- KEYS  1 pms:epoch                  hash: nonce run_id
--       2 pms:right:{clientOrderId}
-- ARGV  1 nonce of the caller
--       2 signed timestamp of the right that may be closed, or '' if none may have been given
--       3 seconds to keep it
-- Returns 1 if it is closed now, else 0: another right was given, the caller leads no more, or this
-- Redis is not the one of its epoch and may have forgotten what was given.
local epoch = redis.call('HMGET', KEYS[1], 'nonce', 'run_id')
if epoch[1] ~= ARGV[1] then return 0 end
if epoch[2] ~= string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') then return 0 end

local right = redis.call('GET', KEYS[2])
if right and right ~= 'void' and string.match(right, '^(%d+)') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], 'void', 'EX', ARGV[3])
return 1
