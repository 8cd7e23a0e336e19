-- What every script starts with. It is put in front of each of them before loading.
--
-- KEYS[1] is the prefix of all keys. It holds a hash tag, so every key that a script composes
-- lives in the slot of KEYS[1], and one script may touch all of them.
--
-- Times are milliseconds of this server's clock, read once per script: no client's clock ever
-- decides who owns a job. JSON is stored and returned, never parsed: cjson turns empty arrays
-- into objects and rounds large numbers.

local prefix = KEYS[1]

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local terminal = {success = true, partial = true, error = true, cancelled = true}

-- text writes a whole number in full; Lua's own conversion keeps 14 digits only.
local function text(n)
  return string.format('%.0f', n)
end

local function job_key(id)
  return prefix .. 'job:' .. id
end

local function get(job, field)
  return redis.call('HGET', job, field)
end

local function number(job, field)
  return tonumber(redis.call('HGET', job, field) or 0)
end

-- set_ahead writes when a lease ends that begins now, or a wait ('next'), and how long it is.
local function set_ahead(job, what, ms)
  redis.call('HSET', job, what .. '_ms', text(now + ms), what .. '_span', text(ms))
end

-- ahead returns how long a lease or a wait still lasts, 0 or less when it is over. One that would last
-- longer than ever it did is of a clock that was set back since: it begins anew.
local function ahead(job, what)
  local left, span = number(job, what .. '_ms') - now, tonumber(get(job, what .. '_span'))
  if not span or left <= span then
    return left
  end
  set_ahead(job, what, span)
  return span
end

-- Indexes are sorted sets of equal scores, ordered by member: creation time in 15 digits, ':' and
-- the id. That order is total, so a cursor stays exact even for jobs of the same millisecond.
local function entry(id, created)
  return string.format('%015.0f:%s', created, id)
end

local function entry_id(member)
  return string.sub(member, 17)
end

local function status_indexes(database, status)
  return prefix .. 'index:status:' .. status, prefix .. 'index:database:' .. database .. ':status:' .. status
end

local function enlist(member, database, status)
  local one, two = status_indexes(database, status)
  redis.call('ZADD', prefix .. 'index:all', 0, member)
  redis.call('ZADD', prefix .. 'index:database:' .. database, 0, member)
  redis.call('ZADD', one, 0, member)
  redis.call('ZADD', two, 0, member)
end

local function delist_status(member, database, status)
  local one, two = status_indexes(database, status)
  redis.call('ZREM', one, member)
  redis.call('ZREM', two, member)
end

local function delist(member, database, status)
  redis.call('ZREM', prefix .. 'index:all', member)
  redis.call('ZREM', prefix .. 'index:database:' .. database, member)
  delist_status(member, database, status)
end

-- enlist_anew enlists a job that is made again although it may have ended and expired before, with
-- entries that nobody has swept yet.
local function enlist_anew(member, database, status)
  for ended in pairs(terminal) do
    delist_status(member, database, ended)
    redis.call('ZREM', prefix .. 'expiring', ended .. ' ' .. database .. ' ' .. member)
  end
  enlist(member, database, status)
end

-- become sets the status and moves the job from index to index with it.
local function become(job, id, status)
  local known = redis.call('HMGET', job, 'status', 'database', 'created_ms')
  redis.call('HSET', job, 'status', status)
  if known[1] ~= status then
    local member = entry(id, tonumber(known[3]))
    delist_status(member, known[2], known[1])
    local one, two = status_indexes(known[2], status)
    redis.call('ZADD', one, 0, member)
    redis.call('ZADD', two, 0, member)
  end
end

-- The outbox holds messages that are not yet known to be confirmed, as '<kind>:<id>' by due time.
local function outbox_add(kind, id)
  redis.call('ZADD', prefix .. 'outbox', now, kind .. ':' .. id)
end

local function outbox_remove(kind, id)
  redis.call('ZREM', prefix .. 'outbox', kind .. ':' .. id)
  redis.call('HDEL', prefix .. 'outbox:tries', kind .. ':' .. id)
end

-- watch has the reconciler look at a job that is not over, at the given time.
local function watch(id, at)
  redis.call('ZADD', prefix .. 'open', at, id)
end

-- Jobs that are not over, the oldest first, under a hash of what they do: jobs of one set do the same.
local function add_same(id, same, created)
  redis.call('ZADD', prefix .. 'same:' .. same, created, id)
end

local function remove_same(job, id)
  local same = get(job, 'same')
  if same then -- else a version before accepted it
    redis.call('ZREM', prefix .. 'same:' .. same, id)
  end
end

-- How many transitions the history remembers, about.
local remembered = 10000

-- tell tells of a transition: the history, which remembers it, and subscribers, who hear how the job
-- stands and where in the history that is.
local function tell(id, status, cancel)
  local change = id .. ' ' .. status .. ' ' .. (cancel or '0')
  local position = redis.call('XADD', prefix .. 'history', 'MAXLEN', '~', remembered, '*', 'change', change)
  redis.call('PUBLISH', prefix .. 'changes', change .. ' ' .. position)
end

-- announce tells of the job's latest transition.
local function announce(job, id)
  local known = redis.call('HMGET', job, 'status', 'cancel')
  tell(id, known[1], known[2])
end

-- progressed tells subscribers that a running job got on. The history is of transitions only.
local function progressed(job, id)
  redis.call('PUBLISH', prefix .. 'changes', id .. ' running ' .. (get(job, 'cancel') or '0'))
end

local function close_attempt(job, outcome, code)
  redis.call('HSET', job, 'ended:' .. get(job, 'attempt'), text(now) .. ' ' .. outcome .. ' ' .. code)
end

local function drop_fields(job, beginning)
  for _, field in ipairs(redis.call('HKEYS', job)) do
    if string.sub(field, 1, #beginning) == beginning then
      redis.call('HDEL', job, field)
    end
  end
end

-- clear_progress forgets how far uncommitted datasets came: whoever exports them next starts over.
local function clear_progress(job)
  drop_fields(job, 'progress:')
end

-- withdraw takes back what attempts committed: their objects are removed.
local function withdraw(job)
  drop_fields(job, 'result:')
end

-- conclude ends a job for good, with its event in the outbox. Nothing but this puts a time to live
-- on a job: a job that is not over never expires.
local function conclude(job, id, status, code, message, retention)
  if get(job, 'status') == 'running' then
    close_attempt(job, status, code)
  end
  clear_progress(job)
  become(job, id, status)
  redis.call('HSET', job, 'finished_ms', text(now), 'code', code, 'error', message)
  redis.call('HDEL', job, 'lease_ms', 'lease_span', 'next_ms', 'next_span')
  redis.call('ZREM', prefix .. 'open', id)
  redis.call('ZREM', prefix .. 'cancelling', id)
  remove_same(job, id)
  outbox_remove('command', id)
  outbox_add('event', id)
  redis.call('PEXPIRE', job, retention)
  local member = entry(id, number(job, 'created_ms'))
  redis.call('ZADD', prefix .. 'expiring', now + retention, status .. ' ' .. get(job, 'database') .. ' ' .. member)
  announce(job, id)
end

-- standing says what the holder of a fence may still do with a job:
--   held       it owns the job
--   released   it gave the job back itself, and nobody claimed it since
--   finished   it ended the job itself
--   lost       another attempt owns the job, or it ended otherwise
--   forgotten  the job is unknown, or remembered from before this fence was given out: the server
--              lost writes, and the holder of the newest fence knows better
local function standing(job, fence)
  local known = redis.call('HMGET', job, 'status', 'fence', 'released_by', 'finished_by')
  local status = known[1]
  if not status then
    return 'forgotten'
  end
  if terminal[status] then
    return known[4] == fence and 'finished' or 'lost'
  end
  local stored, ours = tonumber(known[2] or 0), tonumber(fence)
  if stored > ours then
    return 'lost'
  end
  if stored < ours then
    return 'forgotten'
  end
  if status == 'running' then
    return 'held'
  end
  return known[3] == fence and 'released' or 'lost'
end

