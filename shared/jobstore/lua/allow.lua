-- Allows what comes at a steady rate and, after a pause, in a burst (GCRA, the generic cell rate
-- algorithm). The only state is when the next one were due if all so far had come at the rate: so far
-- ahead of now as there was more.
--
-- KEYS[1]  prefix
-- ARGV[1]  name of what is counted
-- ARGV[2]  microseconds between two, at the rate
-- ARGV[3]  how many may come at once after a pause
--
-- Returns {1 when allowed, else 0; how many more would be allowed now; microseconds until one is, 0 when
-- allowed; microseconds until a whole burst is}. What is not allowed does not count. A second run counts
-- once more.

local key = prefix .. 'limit:' .. ARGV[1]
local at = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local span = interval * burst

local function keep(due)
  redis.call('SET', key, text(due), 'PX', math.ceil((due - at) / 1000))
end

-- Further ahead than a whole burst it never was: the clock was set back, or the limit was changed. That is
-- kept, or whoever comes back when told so would find it as far ahead as before.
local known = tonumber(redis.call('GET', key) or 0)
local due = math.min(math.max(known, at), at + span)
local early = due + interval - span - at
if early > 0 then
  if due < known then
    keep(due)
  end
  return {0, 0, early, due - at}
end
due = due + interval
keep(due)
return {1, math.floor((at + span - due) / interval), 0, due - at}
