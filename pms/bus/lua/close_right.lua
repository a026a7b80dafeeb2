-- Close a send right for ever: nobody sends behind it any more.
--
-- KEYS  1 pms:right:{clientOrderId}
-- ARGV  1 signed timestamp of the right that may be closed, or '' if none may have been given
--       2 seconds to keep it
-- Returns 1 if it is closed now, else 0: another right was given.
local right = redis.call('GET', KEYS[1])
if right and right ~= 'void' and string.match(right, '^(%d+)') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'void', 'EX', ARGV[2])
return 1
