-- Claim a command that is still undecided and in time: nobody may expire it while its claimer lives.
--
-- KEYS  1 pms:request:{requestId}   2 pms:epoch  hash: nonce run_id
-- ARGV  1 nonce of the streamer
-- Returns 1 | 0. Who leads no more claims nothing: it would take the claim of who does, whose decision
-- would then fall though its money has moved.
local epoch = redis.call('HMGET', KEYS[2], 'nonce', 'run_id')
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if epoch[1] ~= ARGV[1] or epoch[2] ~= run_id then return 0 end

local record = redis.call('HMGET', KEYS[1], 'deadline', 'decision', 'claimed')
if not record[1] or record[2] then return 0 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if not record[3] and now > tonumber(record[1]) then return 0 end
redis.call('HSET', KEYS[1], 'claimed', ARGV[1])
return 1
