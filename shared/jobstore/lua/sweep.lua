-- Drops what still points to jobs that expired.
--
-- KEYS[1]  prefix
-- ARGV[1]  how many to look at
--
-- Returns {'done', number of jobs dropped}. A second run goes on with the next ones.

local dropped = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'expiring', '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local status, database, indexed = string.match(member, '^(%S+) (%S+) (.+)$')
  local id = entry_id(indexed)
  local job = job_key(id)
  local left = redis.call('PTTL', job)
  if left >= 0 then -- kept longer for its event's sake
    redis.call('ZADD', prefix .. 'expiring', now + left, member)
  else
    redis.call('ZREM', prefix .. 'expiring', member)
    delist(indexed, database, status)
    outbox_remove('event', id)
    outbox_remove('command', id)
    dropped = dropped + 1
  end
end
return {'done', dropped}
