-- Records that one dataset is settled: no later attempt exports it again.
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  fence
-- ARGV[3]  dataset
-- ARGV[4]  its result as JSON
--
-- Returns {standing}. Changes nothing unless the job is held; a second run writes the same again.

local id, fence, dataset = ARGV[1], ARGV[2], ARGV[3]
local job = job_key(id)
local now_standing = standing(job, fence)
if now_standing == 'held' then
  redis.call('HSET', job, 'result:' .. dataset, ARGV[4])
  redis.call('HDEL', job, 'progress:' .. dataset)
  progressed(job, id)
end
return {now_standing}
