-- Removes jobs that were accepted and never claimed, as if they had never been: with their
-- outbox entries and the idempotency record that names them.
--
-- KEYS[1]  prefix
-- ARGV[…]  job ids
--
-- Returns {'done', number of jobs removed}. Jobs that are unknown, claimed or over are left alone,
-- so a second run changes nothing.

local removed = 0
for _, id in ipairs(ARGV) do
  local job = job_key(id)
  local known = redis.call('HMGET', job, 'status', 'attempt', 'database', 'created_ms', 'idempotency')
  if known[1] == 'queued' and not known[2] then
    delist(entry(id, tonumber(known[4])), known[3], 'queued')
    redis.call('ZREM', prefix .. 'open', id)
    outbox_remove('command', id)
    if known[5] then
      redis.call('DEL', prefix .. 'idempotency:' .. known[5])
    end
    redis.call('DEL', job)
    removed = removed + 1
  end
end
return {'done', removed}
