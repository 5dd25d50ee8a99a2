-- Reads many items of one model in one call: a command an item would cost the client more time than Redis.
--
-- KEYS  1 the shard's meta hash; 2.. the items' hashes, all of one shard
-- ARGV  1 model  2 whether segments are wanted: 1 or 0  3 the epoch that the caller's versions are of
--       4.. the version it holds of each item, empty for none
-- Returns the epoch, then for each item 1 where the caller's version is the one stored, else its version, attributes,
-- packed vectors and, if wanted, segments; nils where there is none.

local version_field = 'version:' .. ARGV[1]
local fields = { version_field, 'attributes:' .. ARGV[1], 'vectors:' .. ARGV[1] }
if ARGV[2] == '1' then
  fields[4] = 'segments:' .. ARGV[1]
end

local epoch = redis.call('HGET', KEYS[1], 'epoch') or ''
local same_life = epoch ~= '' and epoch == ARGV[3]

local reply = { epoch }
for place = 2, #KEYS do
  local held = ARGV[place + 2]
  if same_life and held ~= '' and held == redis.call('HGET', KEYS[place], version_field) then
    reply[place] = 1
  else
    reply[place] = redis.call('HMGET', KEYS[place], unpack(fields))
  end
end
return reply
