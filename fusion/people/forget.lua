-- Erases a user: profile, event ids, history and touches. Leaves the time under a digest, against replays.
--
-- KEYS  1..4 the user's keys  5 when the user was forgotten
-- ARGV  1 event time in ms
-- Returns 1 when something was erased, 0 when nothing was kept or this was done before.

local forgotten_ms = redis.call('GET', KEYS[5])
-- A replay must not erase what the user did after asking to be forgotten.
if forgotten_ms and tonumber(ARGV[1]) <= tonumber(forgotten_ms) then return 0 end
redis.call('SET', KEYS[5], ARGV[1])
return math.min(redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4]), 1)
