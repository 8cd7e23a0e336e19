-- Hands out messages that were not confirmed in time, and puts each off so that nobody else
-- publishes it at once.
--
-- KEYS[1]  prefix
-- ARGV[1]  age in ms from which a message is overdue
-- ARGV[2]  how many at most
-- ARGV[3]  wait after the first time it is handed out, in ms; doubles each time
-- ARGV[4]  longest wait, in ms
-- ARGV[5]  how long a job outlives its unconfirmed event at least, in ms
--
-- Returns {member, times handed out, fields of the job} for each, the longest due first. A second
-- run hands out the next ones: those of a lost reply come again after their wait.

local overdue = {}
local age = tonumber(ARGV[1])
for _, member in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'outbox', '-inf', now - age, 'LIMIT', 0, ARGV[2])) do
  local kind, id = string.match(member, '^(%a+):(.+)$')
  local job = job_key(id)
  if redis.call('EXISTS', job) == 0 then
    outbox_remove(kind, id)
  else
    local tries = redis.call('HINCRBY', prefix .. 'outbox:tries', member, 1)
    local wait = math.min(tonumber(ARGV[3]) * 2 ^ (tries - 1), tonumber(ARGV[4]))
    redis.call('ZADD', prefix .. 'outbox', text(now - age + wait), member)
    local left = redis.call('PTTL', job)
    if left >= 0 and left < tonumber(ARGV[5]) then
      redis.call('PEXPIRE', job, ARGV[5])
    end
    overdue[#overdue + 1] = {member, tries, redis.call('HGETALL', job)}
  end
end
return overdue
