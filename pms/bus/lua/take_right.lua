-- Take the right to send one order: given once, to bytes that are already signed.
--
-- KEYS  1 pms:epoch                  hash: nonce run_id
--       2 pms:order:{clientOrderId}  hash: epoch deadline sub reduces exempt ...
--       3 pms:right:{clientOrderId}  string: '{signed ms} {sender}' or 'void'
--       4 pms:halt                   string: what is halted, {"mode":"HALTED"|"REDUCE_ONLY",...}; and
--                                    pms:halt:{sub}. Anything else in it halts all. The house is exempt,
--                                    and so are the orders of a liquidation.
-- ARGV  1 signed timestamp, exchange ms  2 sender  3 seconds to keep the right
--       4 timestamp of the right that the exchange proved unused by -1021, or ''
--
-- Returns 'won' | 'taken' | 'void' | 'late' | 'halted' | 'epoch' | 'unknown'.
-- A lost reply means *not won*: after that everyone only queries.
local order = redis.call('HMGET', KEYS[2], 'epoch', 'deadline', 'sub', 'reduces', 'exempt')
if not order[1] then return 'unknown' end

local right = redis.call('GET', KEYS[3])
if right == 'void' then return 'void' end
if right and (ARGV[4] == '' or right ~= ARGV[4] .. ' ' .. ARGV[2]) then return 'taken' end

local epoch = redis.call('HMGET', KEYS[1], 'nonce', 'run_id')
if order[1] ~= epoch[1] then return 'epoch' end
if epoch[2] ~= string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') then return 'epoch' end

local clock = redis.call('TIME')
if clock[1] * 1000 + math.floor(clock[2] / 1000) > tonumber(order[2]) then return 'late' end

local REDUCE_ONLY = '{"mode":"REDUCE_ONLY"'
if order[3] ~= 'house' and order[5] ~= '1' then
  for _, key in ipairs({KEYS[4], KEYS[4] .. ':' .. order[3]}) do
    local halt = redis.call('GET', key)
    if halt and not (order[4] == '1' and string.sub(halt, 1, #REDUCE_ONLY) == REDUCE_ONLY) then
      return 'halted'
    end
  end
end

redis.call('SET', KEYS[3], ARGV[1] .. ' ' .. ARGV[2], 'EX', ARGV[3])
return 'won'
