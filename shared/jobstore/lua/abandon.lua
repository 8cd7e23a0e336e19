-- Ends running jobs whose cancellation was asked for and whose worker is gone.
--
-- KEYS[1]  prefix
-- ARGV[1]  how many at most
-- ARGV[2]  code of a cancelled job
-- ARGV[3]  message of a cancelled job
-- ARGV[4]  how long a job is kept, in ms
--
-- Returns the fields of each job ended. A second run finds them over.

local ended = {}
for _, id in ipairs(redis.call('ZRANGE', prefix .. 'cancelling', 0, -1)) do
  if #ended >= tonumber(ARGV[1]) then
    break
  end
  local job = job_key(id)
  if get(job, 'status') ~= 'running' then
    redis.call('ZREM', prefix .. 'cancelling', id)
  elseif ahead(job, 'lease') <= 0 then
    withdraw(job)
    conclude(job, id, 'cancelled', ARGV[2], ARGV[3], tonumber(ARGV[4]))
    -- The dead worker may have left objects, uploads and even the manifest behind: the command goes
    -- out once more, so that another finds the job cancelled and cleans up.
    outbox_add('command', id)
    ended[#ended + 1] = redis.call('HGETALL', job)
  end
end
return ended
