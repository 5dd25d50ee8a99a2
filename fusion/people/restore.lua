-- Puts a user's profile back as it was sent to Kafka, unless something as new is kept, or the user was forgotten since.
--
-- KEYS  1 profile hash  2 event ids by time  3 history: items by time  4 touches: items acted on with a weight above
--       0, by time  5 steps: actions that tell of a taste, by time  6 when the user was forgotten
-- ARGV  1 event time of the newest interaction counted, in ms  2 model  3 sum of vectors as float64, empty for none
--       4 strength  5 time of both in ms  6 idle time in ms  7 items of the history  8 touches  9 steps
--       10.. time and name of each of the history, then of the touches, then time and member of each step
-- Returns 1 when put back, 0 when not.

local updated_ms = tonumber(ARGV[1])
local forgotten_ms = redis.call('GET', KEYS[6])
if forgotten_ms and updated_ms <= tonumber(forgotten_ms) then return 0 end
local stored_ms = redis.call('HGET', KEYS[1], 'updated_ms')
if stored_ms and tonumber(stored_ms) >= updated_ms then return 0 end

redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
-- The ids that were counted are lost, so all up to here counts as counted: nothing counts twice.
redis.call('HSET', KEYS[1], 'updated_ms', ARGV[1], 'floor_ms', ARGV[1])
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'vector:' .. ARGV[2], ARGV[3], 'strength:' .. ARGV[2], ARGV[4],
    'reference_ms:' .. ARGV[2], ARGV[5])
end

local place = 10
for kind = 3, 5 do
  for _ = 1, tonumber(ARGV[kind + 4]) do
    redis.call('ZADD', KEYS[kind], ARGV[place], ARGV[place + 1])
    place = place + 2
  end
end
for kind = 1, 5 do
  redis.call('PEXPIRE', KEYS[kind], ARGV[6])
end
return 1
