-- Cancels a job: a queued one at once; a running one by asking its worker, who cleans up first.
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  nonce of this request: the same nonce gets the same answer
-- ARGV[3]  code of a cancelled job
-- ARGV[4]  message of a cancelled job
-- ARGV[5]  how long the job is kept, in ms
--
-- Returns {outcome, fields}; outcome is cancelled, requested, terminal or missing.

local id, nonce = ARGV[1], ARGV[2]
local job = job_key(id)
local status = get(job, 'status')
if not status then
  return {'missing', {}}
end
if terminal[status] then
  local ours = get(job, 'cancelled_by') == nonce
  return {ours and 'cancelled' or 'terminal', redis.call('HGETALL', job)}
end
if status == 'queued' then
  redis.call('HSET', job, 'cancelled_by', nonce)
  withdraw(job)
  conclude(job, id, 'cancelled', ARGV[3], ARGV[4], tonumber(ARGV[5]))
  if number(job, 'attempt') > 0 then -- attempts may have left objects behind, and their command be lost
    outbox_add('command', id)
  end
  return {'cancelled', redis.call('HGETALL', job)}
end
if redis.call('HSETNX', job, 'cancel', '1') == 1 then
  redis.call('ZADD', prefix .. 'cancelling', now, id)
  announce(job, id)
end
return {'requested', redis.call('HGETALL', job)}
