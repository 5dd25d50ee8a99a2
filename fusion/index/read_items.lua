-- Reads many items of one model in one call: a command an item would cost the client more time than Redis.
--
-- KEYS  the items' hashes, all of one shard
-- ARGV  1 model  2 whether segments are wanted: 1 or 0
-- Returns for each key its version, attributes, packed vectors and, if wanted, segments; nils where there is none.

local version_field = 'version:' .. ARGV[1]
local attributes_field = 'attributes:' .. ARGV[1]
local vectors_field = 'vectors:' .. ARGV[1]
local fields = {version_field, attributes_field, vectors_field}
if ARGV[2] == '1' then
  fields[4] = 'segments:' .. ARGV[1]
end

local items = {}
for place, key in ipairs(KEYS) do
  items[place] = redis.call('HMGET', key, unpack(fields))
end
return items
