-- Hands out jobs that are not over and went without a live lease for long, and puts each off.
--
-- KEYS[1]  prefix
-- ARGV[1]  how many to look at
-- ARGV[2]  wait after which a job without a lease is stalled, in ms; doubles each time
-- ARGV[3]  longest wait, in ms
--
-- Returns the fields of each. A second run hands out the next ones: those of a lost reply come
-- again after their wait.

local stalled = {}
local first = tonumber(ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'open', '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local job = job_key(id)
  local status = get(job, 'status')
  local left = ahead(job, status == 'running' and 'lease' or 'next')
  if not status or terminal[status] then
    redis.call('ZREM', prefix .. 'open', id)
  elseif left + first > 0 then -- renewals and releases leave this set alone: catch up here
    watch(id, now + left + first)
  else
    local times = redis.call('HINCRBY', job, 'stalls', 1)
    watch(id, text(now + math.min(first * 2 ^ times, tonumber(ARGV[3]))))
    stalled[#stalled + 1] = redis.call('HGETALL', job)
  end
end
return stalled
