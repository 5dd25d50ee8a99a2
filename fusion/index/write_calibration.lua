-- Replaces a model's measured backgrounds if this is the next revision: of two workers that measured, one is heard.
--
-- KEYS  1 the model's hash
-- ARGV  1 revision  2 tables as JSON  3 which revisions are taken: the 'next' one, or any 'later' one
-- Returns 1 when applied, 0 when stale.

local stored, offered = tonumber(redis.call('HGET', KEYS[1], 'revision') or '0'), tonumber(ARGV[1])
if offered <= stored or (ARGV[3] == 'next' and offered ~= stored + 1) then
  return 0
end
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'tables', ARGV[2])
return 1
