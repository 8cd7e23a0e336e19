-- Gives a job back: running → queued, to be claimed again after a while.
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  fence
-- ARGV[3]  ms until the next attempt may start
-- ARGV[4]  outcome of this attempt
-- ARGV[5]  code of its failure, or ''
-- ARGV[6]  message of its failure, or ''
-- ARGV[7]  '1' when it counts as a failure
--
-- Returns {standing}: 'released' after this or an earlier run by the same fence; 'cancelling' when
-- a cancellation was asked for, which only the holder can complete. Otherwise nothing was changed.

local id, fence = ARGV[1], ARGV[2]
local job = job_key(id)
local now_standing = standing(job, fence)
if now_standing ~= 'held' then
  return {now_standing}
end
if get(job, 'cancel') then
  return {'cancelling'}
end
close_attempt(job, ARGV[4], ARGV[5])
clear_progress(job)
if ARGV[7] == '1' then
  redis.call('HINCRBY', job, 'failures', 1)
end
become(job, id, 'queued')
redis.call('HSET', job, 'released_by', fence, 'code', ARGV[5], 'error', ARGV[6])
redis.call('HDEL', job, 'lease_ms', 'lease_span')
set_ahead(job, 'next', tonumber(ARGV[3]))
announce(job, id)
return {'released'}
