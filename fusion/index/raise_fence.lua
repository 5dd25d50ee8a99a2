-- From now on a shard refuses writes by an older record of layouts than this.
--
-- KEYS  1 the shard's meta hash
-- ARGV  1 the oldest generation that may write

local held = tonumber(redis.call('HGET', KEYS[1], 'fence') or '-1')
if tonumber(ARGV[1]) > held then
  redis.call('HSET', KEYS[1], 'fence', ARGV[1])
end
return 1
