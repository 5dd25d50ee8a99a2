-- Writes or deletes one item of one model, unless what is stored is as new. Atomic: nothing else runs meanwhile.
--
-- KEYS  1 the item's hash; 2 the shard's meta hash; 3.. the vector sets of its shard, in a fixed order
-- ARGV  1 model  2 event time in ms  3 offset  4 attributes as JSON, empty for a deletion  5 packed vectors
--       6 quantisation  7 build effort  8 item id  9 packed segments, empty for none
--       10 generation of the record of layouts that the writer read, 0 for none
--       11.. a float32 vector a vector set, empty where the item has none
-- Returns 1 when applied, 0 when stale, -1 when the writer must read the record again.

-- A shard without a fence never was in a record, or lost everything: whoever writes by a record is mistaken.
local fence, generation = redis.call('HGET', KEYS[2], 'fence'), tonumber(ARGV[10])
if (fence and generation < tonumber(fence)) or (not fence and generation > 0) then
  return -1
end

local version_field = 'version:' .. ARGV[1]
local attributes_field = 'attributes:' .. ARGV[1]
local vectors_field = 'vectors:' .. ARGV[1]
local segments_field = 'segments:' .. ARGV[1]
local time_ms, offset = tonumber(ARGV[2]), tonumber(ARGV[3])
local attributes, item_id = ARGV[4], ARGV[8]

local stored = redis.call('HGET', KEYS[1], version_field)
if stored then
  local stored_time_ms, stored_offset = string.match(stored, '^(%-?%d+):(%-?%d+)$')
  stored_time_ms, stored_offset = tonumber(stored_time_ms), tonumber(stored_offset)
  if time_ms < stored_time_ms or (time_ms == stored_time_ms and offset <= stored_offset) then
    return 0
  end
end

for place = 3, #KEYS do
  local vector = ARGV[place + 8]
  if vector ~= '' then
    redis.call('VADD', KEYS[place], 'FP32', vector, item_id, ARGV[6], 'EF', ARGV[7], 'SETATTR', attributes)
  else
    redis.call('VREM', KEYS[place], item_id)
  end
end

-- Segments have a field of their own, so that whoever ranks does not read them.
if ARGV[9] == '' then
  redis.call('HDEL', KEYS[1], segments_field)
else
  redis.call('HSET', KEYS[1], segments_field, ARGV[9])
end

-- The version comes last: were a VADD refused half way, a retry finds the old version and does everything again.
local version = ARGV[2] .. ':' .. ARGV[3]
if attributes == '' then
  redis.call('HDEL', KEYS[1], attributes_field, vectors_field, segments_field)
  redis.call('HSET', KEYS[1], version_field, version)
else
  redis.call('HSET', KEYS[1], version_field, version, attributes_field, attributes, vectors_field, ARGV[5])
end
return 1
