-- Writes a job anew from what the holder of its newest lease knows of it, after this server forgot
-- the job (a flush) or the claim (a restart that lost the last writes).
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  fence of the holder
-- ARGV[3]  length of the lease in ms
-- ARGV[4]  how long a job may go without a lease before its command is published again, in ms
-- ARGV[5…] fields and values of the job as of the claim, with what was committed since
--
-- Returns {standing}: 'held' when the job was restored; otherwise nothing was changed. A second run
-- finds the job held.

local id, fence = ARGV[1], ARGV[2]
local job = job_key(id)
local now_standing = standing(job, fence)
if now_standing ~= 'forgotten' then
  return {now_standing}
end

local old = redis.call('HMGET', job, 'status', 'database', 'created_ms', 'cancel')
if old[1] then
  delist(entry(id, tonumber(old[3])), old[2], old[1])
  redis.call('DEL', job)
end
for i = 5, #ARGV, 2 do
  redis.call('HSET', job, ARGV[i], ARGV[i + 1])
end
redis.call('HSET', job, 'status', 'running', 'fence', fence)
set_ahead(job, 'lease', tonumber(ARGV[3]))
if old[4] then
  redis.call('HSET', job, 'cancel', old[4])
end
if get(job, 'cancel') then
  redis.call('ZADD', prefix .. 'cancelling', now, id)
end
enlist_anew(entry(id, number(job, 'created_ms')), get(job, 'database'), 'running')
local same = get(job, 'same')
if same then
  add_same(id, same, number(job, 'created_ms'))
end
outbox_remove('command', id)
watch(id, now + tonumber(ARGV[3]) + tonumber(ARGV[4]))
announce(job, id)
return {'held'}
