-- Replaces the record of layouts, if the one before is what the caller read.
--
-- KEYS  1 the record
-- ARGV  1 the generation that the caller read, 0 for none  2 the next generation  3 the record as JSON
-- Returns 1 when replaced, 0 when somebody else was faster.

local held = redis.call('HGET', KEYS[1], 'generation') or '0'
if held ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'record', ARGV[3])
return 1
