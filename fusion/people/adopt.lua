-- Gives a user a taste in another model's space, made of the user's steps, unless more is known there.
--
-- KEYS  1 profile hash  2 steps
-- ARGV  1 model  2 how many steps it is made of  3 time of the newest of them  4 sum of vectors as float64
--       5 strength  6 time of both in ms
-- Returns 1 when given, 0 when not: the user acted meanwhile, or has a taste there that counts more than these steps.

local newest = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
if redis.call('ZCARD', KEYS[2]) ~= tonumber(ARGV[2]) or tonumber(newest[2]) ~= tonumber(ARGV[3]) then
  return 0
end
local vector, mark = 'vector:' .. ARGV[1], 'adopted:' .. ARGV[1]
if redis.call('HEXISTS', KEYS[1], vector) == 1 and redis.call('HEXISTS', KEYS[1], mark) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], vector, ARGV[4], 'strength:' .. ARGV[1], ARGV[5], 'reference_ms:' .. ARGV[1], ARGV[6],
  mark, '1')
return 1
