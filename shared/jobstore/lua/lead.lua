-- Takes or keeps the lead among gateways.
--
-- KEYS[1]  prefix
-- ARGV[1]  owner
-- ARGV[2]  for how long, in ms
--
-- Returns {1} when the owner leads, {0} when another does. A second run renews.

local leader = redis.call('GET', prefix .. 'leader')
if leader and leader ~= ARGV[1] then
  return {0}
end
redis.call('SET', prefix .. 'leader', ARGV[1], 'PX', ARGV[2])
return {1}
