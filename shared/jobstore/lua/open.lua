-- Reads which objects belong to jobs of one database that are not over, a batch of jobs at a time.
--
-- KEYS[1]  prefix
-- ARGV[1]  database
-- ARGV[2]  cursor: '0' to begin, then that of the batch before
-- ARGV[3]  how many jobs to look at, about
--
-- Returns {cursor, {id, targets, stamp_s, stamp_seq}, …}; the cursor is '0' after the last batch. A
-- job that is open from the first batch to the last is in one of them, whatever else changes
-- meanwhile; it may be in several. Changes nothing.

local batch = redis.call('ZSCAN', prefix .. 'open', ARGV[2], 'COUNT', ARGV[3])
local answer = {batch[1]}
for i = 1, #batch[2], 2 do
  local known = redis.call('HMGET', job_key(batch[2][i]), 'database', 'targets', 'stamp_s', 'stamp_seq')
  if known[1] == ARGV[1] then
    answer[#answer + 1] = {batch[2][i], known[2], known[3] or '0', known[4] or '0'}
  end
end
return answer
