-- Marks what a user did to something they were shown, once, and learns the modalities' weights from a click.
--
-- KEYS  1 answers by query  2 the user's weights  3 everybody's weights in this shard
-- ARGV  1 query id  2 item id  3 '1' for a click, '0' for having seen it  4 rate of the user's weights, 0 for none
--       5 what a click takes from the lessons before it  6 everybody's part of both  7 bound of a weight's logarithm
--       8 the user's weights are kept for, in ms
-- Returns {rank, newly seen, newly clicked, first click of the answer}, or nothing when the answer is not kept.
-- The lesson of a click is that of ``fusion/people/modality_weights.py``.

local packed = redis.call('HGET', KEYS[1], ARGV[1])
if not packed then return false end
local served = cjson.decode(packed)

local function find(item_id)
  for _, hit in ipairs(served.h) do
    if hit.i == item_id then return hit end
  end
end

local function lesson(clicked)
  local advantages, count, sum = {}, 0, 0
  for modality, scores in pairs(clicked.m) do
    local others, total = 0, 0
    for _, hit in ipairs(served.h) do
      local passed = (hit.r < clicked.r or hit.r == clicked.r + 1) and not hit.c
      if passed and hit.m[modality] then others, total = others + 1, total + hit.m[modality][2] end
    end
    if others > 0 then
      advantages[modality] = scores[2] - total / others
      count, sum = count + 1, sum + advantages[modality]
    end
  end
  if count < 2 then return {} end
  for modality, advantage in pairs(advantages) do advantages[modality] = advantage - sum / count end
  return advantages
end

local function move(key, taught, part)
  local rate, fade, bound = part * tonumber(ARGV[4]), part * tonumber(ARGV[5]), tonumber(ARGV[7])
  for modality, step in pairs(taught) do
    local moved = (1 - fade) * tonumber(redis.call('HGET', key, modality) or 0) + rate * step
    redis.call('HSET', key, modality, string.format('%.9g', math.min(math.max(moved, -bound), bound)))
  end
end

local function learn(clicked)
  local generation = redis.call('HGET', KEYS[3], 'generation') or '0'
  -- Weights from before a reset are forgotten where they are met.
  if redis.call('HGET', KEYS[2], 'generation') ~= generation then redis.call('DEL', KEYS[2]) end
  local taught = lesson(clicked)
  if next(taught) == nil then return end
  redis.call('HSET', KEYS[2], 'generation', generation)
  move(KEYS[2], taught, 1)
  move(KEYS[3], taught, tonumber(ARGV[6]))
  redis.call('PEXPIRE', KEYS[2], ARGV[8])
end

local hit = find(ARGV[2])
if not hit then return false end
local newly_seen, newly_clicked, first_click = not hit.s, ARGV[3] == '1' and not hit.c, true
for _, other in ipairs(served.h) do
  if other.c then first_click = false end
end
if newly_clicked and tonumber(ARGV[4]) > 0 then learn(hit) end
hit.s = 1
if ARGV[3] == '1' then hit.c = 1 end
if newly_seen or newly_clicked then redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(served)) end
return {hit.r, newly_seen and 1 or 0, newly_clicked and 1 or 0, newly_clicked and first_click and 1 or 0}
