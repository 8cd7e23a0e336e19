-- Removes jobs that were accepted and never claimed, as if they had never been: with their
-- outbox entries and the idempotency record that names them.
--
-- KEYS[1]  prefix
-- ARGV[…]  job ids
--
-- Returns {'done', number of these jobs that there still are}. Jobs that are claimed or over are left
-- alone, and so are those that another request knows of: its repetition had the command confirmed, or
-- it joined the job, and its client was told so. A second run changes nothing.

local kept = 0
for _, id in ipairs(ARGV) do
  local job = job_key(id)
  local known = redis.call('HMGET', job, 'status', 'attempt', 'database', 'created_ms', 'idempotency', 'joined')
  if known[1] == 'queued' and not known[2] and not known[6] and redis.call('ZSCORE', prefix .. 'outbox', 'command:' .. id) then
    delist(entry(id, tonumber(known[4])), known[3], 'queued')
    redis.call('ZREM', prefix .. 'open', id)
    remove_same(job, id)
    outbox_remove('command', id)
    if known[5] then
      redis.call('DEL', prefix .. 'idempotency:' .. known[5])
    end
    redis.call('DEL', job)
  elseif known[1] then
    kept = kept + 1
  end
end
return {'done', kept}
