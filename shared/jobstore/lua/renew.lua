-- Renews a lease and records progress.
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  fence
-- ARGV[3]  length of the lease in ms
-- ARGV[4…] dataset, progress as JSON, for each dataset that is being exported
--
-- Returns {standing, 1 when a cancellation was asked for, else 0}. Changes nothing unless the job
-- is held. A lease that ran out is renewed all the same while nobody else claimed the job.

local id, fence = ARGV[1], ARGV[2]
local job = job_key(id)
local now_standing = standing(job, fence)
if now_standing ~= 'held' then
  return {now_standing, 0}
end
set_ahead(job, 'lease', tonumber(ARGV[3]))
for i = 4, #ARGV, 2 do
  redis.call('HSET', job, 'progress:' .. ARGV[i], ARGV[i + 1])
end
if #ARGV > 3 then
  progressed(job, id)
end
return {'held', get(job, 'cancel') and 1 or 0}
