-- Accepts jobs, all or none, each with its command in the outbox.
--
-- KEYS[1]  prefix
-- ARGV[1]  name of the idempotency record, '' for none
-- ARGV[2]  hash of the request's body
-- ARGV[3]  how long the record is kept, in ms
-- ARGV[4]  how long a job may go without a lease before its command is published again, in ms
-- ARGV[5…] seven for each job: id, database, requested_by, request_id, retry_of, catalog_digest, targets;
--          none to ask only what an earlier request made
--
-- Returns {'accepted' | 'replayed', {unconfirmed, fields} for each job}, or {'mismatch'}, or {'unknown'}
-- when only asked and there was no such request. Of a job that it made the fields are those alone that
-- are not the caller's, without its id.
-- Twice with the same ids: the second run creates nothing and answers what is stored.

local jobs_at, width = 5, 7

local function stored(id)
  local unconfirmed = redis.call('ZSCORE', prefix .. 'outbox', 'command:' .. id) and 1 or 0
  return {unconfirmed, redis.call('HGETALL', job_key(id))}
end

local function answer(outcome, ids)
  local reply = {outcome}
  for _, id in ipairs(ids) do
    reply[#reply + 1] = stored(id)
  end
  return reply
end

local ids = {}
for i = jobs_at, #ARGV, width do
  ids[#ids + 1] = ARGV[i]
end
local joined = table.concat(ids, ' ')

local record = ARGV[1] ~= '' and prefix .. 'idempotency:' .. ARGV[1]
local known = record and redis.call('HMGET', record, 'jobs', 'body') or {}
if known[1] then
  if known[1] == joined then
    return answer('accepted', ids) -- this very request, whose reply was lost
  end
  local first, alive = {}, true
  for id in string.gmatch(known[1], '%S+') do
    first[#first + 1] = id
    alive = alive and redis.call('EXISTS', job_key(id)) == 1
  end
  if alive then -- else the record speaks of jobs that are gone, and means nothing
    if known[2] ~= ARGV[2] then
      return {'mismatch'}
    end
    return answer('replayed', first)
  end
end

if #ids == 0 then
  return {'unknown'}
end

-- The stamp in the object keys never repeats for a database, even when the clock is set back: two
-- jobs must never share a key.
local function next_stamp(database)
  local second, seq = math.floor(now / 1000), 1
  local last = redis.call('HGET', prefix .. 'stamps', database)
  if last then
    local last_second, last_seq = string.match(last, '^(%d+) (%d+)$')
    if tonumber(last_second) >= second then
      second, seq = tonumber(last_second), tonumber(last_seq) + 1
    end
  end
  redis.call('HSET', prefix .. 'stamps', database, text(second) .. ' ' .. text(seq))
  return second, seq
end

local reply = {'accepted'}
for i = jobs_at, #ARGV, width do
  local id, database = ARGV[i], ARGV[i + 1]
  local job = job_key(id)
  if redis.call('EXISTS', job) == 1 then
    reply[#reply + 1] = stored(id)
  else
    local second, seq = next_stamp(database)
    redis.call('HSET', job, 'id', id, 'database', database, 'requested_by', ARGV[i + 2], 'request_id', ARGV[i + 3],
      'retry_of', ARGV[i + 4], 'catalog_digest', ARGV[i + 5], 'targets', ARGV[i + 6],
      'status', 'queued', 'created_ms', text(now), 'stamp_s', text(second), 'stamp_seq', text(seq))
    if record then
      redis.call('HSET', job, 'idempotency', ARGV[1])
    end
    enlist(entry(id, now), database, 'queued')
    watch(id, now + tonumber(ARGV[4]))
    outbox_add('command', id)
    tell(id, 'queued', false)
    reply[#reply + 1] = {1, {'created_ms', text(now), 'stamp_s', text(second), 'stamp_seq', text(seq)}}
  end
end
if record then
  redis.call('HSET', record, 'jobs', joined, 'body', ARGV[2])
  redis.call('PEXPIRE', record, ARGV[3])
end
return reply
