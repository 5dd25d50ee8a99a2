-- Counts one interaction once, everywhere: profile, history, steps, trends, pairs. Atomic: nothing else runs meanwhile.
--
-- KEYS  1 profile hash  2 event ids by time  3 history: items by time  4 touches: items acted on with a weight above
--       0, by time  5 steps: actions that tell of a taste, by time  6 when the user was forgotten
--       7 trends of the shard
-- ARGV  1 event id  2 item id  3 event time in ms  4 weight  5 the item's unit vector as float64, empty when unknown
--       6 model  7 half-life in ms  8 trend half-life in ms  9 history kept  10 event ids kept  11 pair window in ms
--       12 start of pair keys  13 trends kept  14 pairs kept  15 partners counted  16 idle time in ms
--       17 the step, empty when it is none  18 steps kept
-- The pair keys follow from the user's touches, so they cannot be named in KEYS; their hash tag is that of KEYS.
-- Returns 1 when counted, 0 when counted before, too old to tell, or from before the user was forgotten.

local event_id, item_id, time_ms, weight, vector = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local idle_ms = ARGV[16]

local function exact(number)
  return string.format('%.17g', number)
end

local function is_new()
  local forgotten_ms = redis.call('GET', KEYS[6])
  if forgotten_ms and time_ms <= tonumber(forgotten_ms) then return false end
  -- An id this old may have been dropped from the window: it cannot be told from a replay, and must not count twice.
  local floor_ms = redis.call('HGET', KEYS[1], 'floor_ms')
  if floor_ms and time_ms <= tonumber(floor_ms) then return false end
  return not redis.call('ZSCORE', KEYS[2], event_id)
end

local function remember_event()
  redis.call('ZADD', KEYS[2], ARGV[3], event_id)
  if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[10]) then
    redis.call('HSET', KEYS[1], 'floor_ms', redis.call('ZPOPMIN', KEYS[2])[2])
  end
end

local function add_to_profile()
  local fields = {'vector:' .. ARGV[6], 'strength:' .. ARGV[6], 'reference_ms:' .. ARGV[6]}
  local stored = redis.call('HMGET', KEYS[1], unpack(fields))
  local format = '<' .. string.rep('d', #vector / 8)
  local added, total = {struct.unpack(format, vector)}, {}
  local reference_ms = math.max(tonumber(stored[3] or time_ms), time_ms)
  local share = weight * 2 ^ ((time_ms - reference_ms) / tonumber(ARGV[7]))
  local strength, kept = math.abs(share), 0
  if stored[1] then
    total = {struct.unpack(format, stored[1])}
    kept = 2 ^ ((tonumber(stored[3]) - reference_ms) / tonumber(ARGV[7]))
    strength = strength + kept * tonumber(stored[2])
  end
  for place = 1, #vector / 8 do
    total[place] = kept * (total[place] or 0) + share * added[place]
  end
  local packed = struct.pack(format, unpack(total, 1, #vector / 8))
  redis.call('HSET', KEYS[1], fields[1], packed, fields[2], exact(strength), fields[3], exact(reference_ms))
end

local function add_to_history()
  redis.call('ZADD', KEYS[3], 'GT', ARGV[3], item_id)
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -tonumber(ARGV[9]) - 1)
  local updated_ms = redis.call('HGET', KEYS[1], 'updated_ms')
  if not updated_ms or tonumber(updated_ms) < time_ms then
    redis.call('HSET', KEYS[1], 'updated_ms', ARGV[3])
  end
end

local function add_to_steps()
  redis.call('ZADD', KEYS[5], ARGV[3], ARGV[17])
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -tonumber(ARGV[18]) - 1)
end

local function add_to_trends()
  local log2_total = math.log(weight) / math.log(2) + time_ms / tonumber(ARGV[8])
  local stored = redis.call('ZSCORE', KEYS[7], item_id)
  if stored then
    local high, low = math.max(log2_total, tonumber(stored)), math.min(log2_total, tonumber(stored))
    log2_total = high + math.log(1 + 2 ^ (low - high)) / math.log(2)
  end
  redis.call('ZADD', KEYS[7], exact(log2_total), item_id)
  redis.call('ZREMRANGEBYRANK', KEYS[7], 0, -tonumber(ARGV[13]) - 1)
end

local function count_pair(item, partner)
  local key = ARGV[12] .. item
  redis.call('ZINCRBY', key, 1, partner)
  redis.call('PEXPIRE', key, idle_ms)
  if redis.call('ZCARD', key) > 2 * tonumber(ARGV[14]) then
    redis.call('ZREMRANGEBYRANK', key, 0, -tonumber(ARGV[14]) - 1)
  end
end

local function count_pairs()
  local window_ms = tonumber(ARGV[11])
  local before_ms = tonumber(redis.call('ZSCORE', KEYS[4], item_id) or nil)
  local near = redis.call('ZREVRANGEBYSCORE', KEYS[4], exact(time_ms + window_ms), exact(time_ms - window_ms),
    'WITHSCORES', 'LIMIT', 0, ARGV[15])
  for place = 1, #near, 2 do
    local partner, partner_ms = near[place], tonumber(near[place + 1])
    -- Going back and forth between two items is one visit of both, not many.
    local counted = before_ms and math.abs(before_ms - partner_ms) <= window_ms
    if partner ~= item_id and not counted then
      count_pair(item_id, partner)
      count_pair(partner, item_id)
    end
  end
  redis.call('ZADD', KEYS[4], 'GT', ARGV[3], item_id)
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -tonumber(ARGV[9]) - 1)
end

if not is_new() then return 0 end
remember_event()
if vector ~= '' and weight ~= 0 then add_to_profile() end
add_to_history()
if ARGV[17] ~= '' then add_to_steps() end
if weight > 0 then
  add_to_trends()
  count_pairs()
end
for place = 1, 5 do
  redis.call('PEXPIRE', KEYS[place], idle_ms)
end
return 1
