-- Reads the record of layouts, and notes that the caller is alive and works by the generation it read before.
--
-- KEYS  1 the record  2 the followers, one field each
-- ARGV  1 who asks  2 the generation by which it works  3 the models that it holds, with spaces between
-- Returns the record as JSON, or nil.

local time = redis.call('TIME')
redis.call('HSET', KEYS[2], ARGV[1], time[1] .. ':' .. ARGV[2] .. ':' .. ARGV[3])
redis.call('EXPIRE', KEYS[2], 3600)
return redis.call('HGET', KEYS[1], 'record')
