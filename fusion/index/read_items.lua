-- Reads many items of one model in one call: a command an item would cost the client more time than Redis.
--
-- KEYS  the items' hashes, all of one shard
-- ARGV  1 model
-- Returns for each key its version, attributes and packed vectors; nils where there is no such item.

local version_field = 'version:' .. ARGV[1]
local attributes_field = 'attributes:' .. ARGV[1]
local vectors_field = 'vectors:' .. ARGV[1]

local items = {}
for place, key in ipairs(KEYS) do
  items[place] = redis.call('HMGET', key, version_field, attributes_field, vectors_field)
end
return items
