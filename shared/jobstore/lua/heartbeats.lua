-- Reads the heartbeats that are still to be believed.
--
-- KEYS[1]  prefix
--
-- Returns '<ms of the heartbeat> <JSON>' for each worker, by name. Forgets the others.

redis.call('ZREMRANGEBYSCORE', prefix .. 'workers', '-inf', now)
local names = redis.call('ZRANGE', prefix .. 'workers', 0, -1)
table.sort(names)
local beats = {}
for _, name in ipairs(names) do
  local beat = redis.call('GET', prefix .. 'worker:' .. name)
  if beat then
    beats[#beats + 1] = beat
  end
end
return beats
