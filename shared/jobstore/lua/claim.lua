-- Claims a job for one attempt: queued → running, or running → running when the lease is dead.
--
-- KEYS[1]   prefix
-- ARGV[1]   job id
-- ARGV[2]   nonce of this claim: the same nonce gets the same attempt, and counts once
-- ARGV[3]   worker
-- ARGV[4]   length of the lease in ms
-- ARGV[5]   failures allowed
-- ARGV[6]   how long a job may go without a lease before its command is published again, in ms
-- ARGV[7]   '1' to create the job from its command when it is unknown, with
-- ARGV[8…]  database, requested_by, request_id, retry_of, catalog_digest, targets (final keys), created_ms,
--           hash of what it does
--
-- Returns {outcome, wait in ms, fields, present time}; outcome is claimed, exhausted (claimed, but it
-- failed as often as it may), over, busy, early or unknown. The wait of a job that is over is until it
-- is forgotten.

local id, nonce = ARGV[1], ARGV[2]
local job = job_key(id)
local status = get(job, 'status')

if not status then
  if ARGV[7] ~= '1' then
    return {'unknown', 0, {}}
  end
  status = 'queued'
  redis.call('HSET', job, 'id', id, 'database', ARGV[8], 'requested_by', ARGV[9], 'request_id', ARGV[10],
    'retry_of', ARGV[11], 'catalog_digest', ARGV[12], 'targets', ARGV[13], 'created_ms', ARGV[14], 'status', status, 'adopted', '1',
    'same', ARGV[15])
  enlist_anew(entry(id, tonumber(ARGV[14])), ARGV[8], status)
  add_same(id, ARGV[15], ARGV[14])
end

-- Whatever the answer: a worker holds the command, so the broker has it.
outbox_remove('command', id)

local function answer(outcome, wait)
  return {outcome, wait, redis.call('HGETALL', job), now}
end

local function granted()
  if number(job, 'failures') >= tonumber(ARGV[5]) then
    return answer('exhausted', 0)
  end
  return answer('claimed', 0)
end

if terminal[status] then
  return answer('over', redis.call('PTTL', job))
end
if status == 'running' then
  if get(job, 'nonce') == nonce then -- the answer was lost, and who asks knows of the lease only now
    set_ahead(job, 'lease', tonumber(ARGV[4]))
    return granted()
  end
  local left = ahead(job, 'lease')
  if left > 0 then
    return answer('busy', left)
  end
  -- A lease that ran out is a failure: without counting it, a job that kills its worker each time
  -- would run for ever.
  redis.call('HINCRBY', job, 'failures', 1)
  close_attempt(job, 'expired', '')
else
  local left = ahead(job, 'next')
  if left > 0 then
    return answer('early', left)
  end
end

-- The fence only grows. Starting from the clock keeps that true for a job whose old fence was lost
-- together with the job.
local fence = math.max(number(job, 'fence') + 1, now)
local attempt = redis.call('HINCRBY', job, 'attempt', 1)
clear_progress(job)
become(job, id, 'running')
redis.call('HSET', job, 'fence', text(fence), 'nonce', nonce, 'attempt:' .. attempt, text(now) .. ' ' .. ARGV[3])
set_ahead(job, 'lease', tonumber(ARGV[4]))
redis.call('HSETNX', job, 'started_ms', text(now))
redis.call('HDEL', job, 'next_ms', 'next_span', 'stalls', 'code', 'error')
watch(id, now + tonumber(ARGV[4]) + tonumber(ARGV[6]))
announce(job, id)
return granted()
