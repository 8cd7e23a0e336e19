-- Ends a job that its attempt has worked off: running → success, partial, error or cancelled.
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  fence
-- ARGV[3]  terminal status
-- ARGV[4]  code, or ''
-- ARGV[5]  message, or ''
-- ARGV[6]  how long the job is kept, in ms
-- ARGV[7…] dataset, result as JSON, '1' when its object is complete, for each dataset
--
-- Returns {standing, fields}: 'finished' after this or an earlier run by the same fence, with the
-- job as stored. Otherwise nothing was changed.

local id, fence = ARGV[1], ARGV[2]
local job = job_key(id)
local now_standing = standing(job, fence)
if now_standing == 'held' then
  local exported = ARGV[3] == 'success' or ARGV[3] == 'partial'
  for i = 7, #ARGV, 3 do
    redis.call('HSET', job, 'result:' .. ARGV[i], ARGV[i + 1])
    if exported and ARGV[i + 2] == '1' then
      redis.call('HSET', prefix .. 'latest', get(job, 'database') .. ' ' .. ARGV[i], id .. ' ' .. ARGV[i + 1])
    end
  end
  redis.call('HSET', job, 'finished_by', fence)
  conclude(job, id, ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]))
  now_standing = 'finished'
end
return {now_standing, redis.call('HGETALL', job)}
