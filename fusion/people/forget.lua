-- Erases a user: everything kept under the id. Leaves the time under a digest, against replays.
--
-- KEYS  1 when the user was forgotten  2 users of the shard to whom something was shown, then all the user's keys
-- ARGV  1 event time in ms  2 how long the time is kept, in ms  3 user id
-- Returns 1 when something was erased, 0 when nothing was kept or this was done before.

local forgotten_ms = redis.call('GET', KEYS[1])
-- A replay must not erase what the user did after asking to be forgotten.
if forgotten_ms and tonumber(ARGV[1]) <= tonumber(forgotten_ms) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[3])
return math.min(redis.call('DEL', unpack(KEYS, 3)), 1)
