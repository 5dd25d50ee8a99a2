-- Keeps what was shown to a user, the latest answers only.
--
-- KEYS  1 answers by query  2 their queries, oldest first  3 when the user was forgotten  4 users of the shard by time
-- ARGV  1 query id  2 the answer as JSON  3 its time in ms  4 answers kept  5 kept for, in ms  6 user id
-- Returns 1 when kept, 0 when it was kept before or the user was forgotten since.

local forgotten_ms = redis.call('GET', KEYS[3])
if forgotten_ms and tonumber(ARGV[3]) <= tonumber(forgotten_ms) then return 0 end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
while redis.call('LLEN', KEYS[2]) > tonumber(ARGV[4]) do
  redis.call('HDEL', KEYS[1], redis.call('LPOP', KEYS[2]))
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.call('ZADD', KEYS[4], 'GT', ARGV[3], ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[3] - ARGV[5])
return 1
