-- Records how far datasets came, without renewing the lease.
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  fence
-- ARGV[3…] dataset, progress as JSON, for each dataset that got on
--
-- Returns {standing}. Changes nothing unless the job is held; a second run writes the same again.

local id, fence = ARGV[1], ARGV[2]
local job = job_key(id)
local now_standing = standing(job, fence)
if now_standing == 'held' then
  for i = 3, #ARGV, 2 do
    redis.call('HSET', job, 'progress:' .. ARGV[i], ARGV[i + 1])
  end
  progressed(job, id)
end
return {now_standing}
