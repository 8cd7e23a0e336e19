-- Accepts jobs, all or none, each with its command in the outbox.
--
-- KEYS[1]  prefix
-- ARGV[1]  name of the idempotency record, '' for none
-- ARGV[2]  hash of the request's body
-- ARGV[3]  how long the record is kept, in ms
-- ARGV[4]  how long a job may go without a lease before its command is published again, in ms
-- ARGV[5…] nine for each job: id, database, requested_by, request_id, retry_of, catalog_digest, targets,
--          hash of what it does, and what to do when a job that is not over does the same: 'join' to be
--          answered with that one, 'reject', or '' to make one more;
--          none to ask only what an earlier request made
--
-- Returns {'accepted' | 'replayed', {unconfirmed, fields, 1 when joined} for each job}, or {'mismatch'},
-- or {'conflict', id of the job that does the same, …}, or {'unknown'} when only asked and there was no
-- such request. Of a job that it made the fields are those alone that are not the caller's, without its
-- id.
-- Twice with the same ids: the second run creates nothing and answers what is stored. A job that the
-- first run joined may be over by the second: then that one decides.

local jobs_at, width = 5, 9

local function stored(id, asked)
  local unconfirmed = redis.call('ZSCORE', prefix .. 'outbox', 'command:' .. id) and 1 or 0
  return {unconfirmed, redis.call('HGETALL', job_key(id)), id == asked and 0 or 1}
end

-- answer returns the jobs that a request got; asked are the ids that it chose, for jobs to be made.
local function answer(outcome, ids, asked)
  local reply = {outcome}
  for i, id in ipairs(ids) do
    reply[#reply + 1] = stored(id, asked[i])
  end
  return reply
end

local function words(text)
  local list = {}
  for word in string.gmatch(text, '%S+') do
    list[#list + 1] = word
  end
  return list
end

local asked = {}
for i = jobs_at, #ARGV, width do
  asked[#asked + 1] = ARGV[i]
end

local record = ARGV[1] ~= '' and prefix .. 'idempotency:' .. ARGV[1]
local known = record and redis.call('HMGET', record, 'jobs', 'body', 'asked') or {}
if known[1] then
  local first, first_asked = words(known[1]), known[3] or known[1]
  if first_asked == table.concat(asked, ' ') then
    return answer('accepted', first, asked) -- this very request, whose reply was lost
  end
  local alive = true
  for _, id in ipairs(first) do
    alive = alive and redis.call('EXISTS', job_key(id)) == 1
  end
  if alive then -- else the record speaks of jobs that are gone, and means nothing
    if known[2] ~= ARGV[2] then
      return {'mismatch'}
    end
    return answer('replayed', first, words(first_asked))
  end
end

if #asked == 0 then
  return {'unknown'}
end

-- twin returns the oldest job that does the same and is to go on.
local function twin(same)
  local set, at = prefix .. 'same:' .. same, 0
  while true do
    local id = redis.call('ZRANGE', set, at, at)[1]
    if not id then
      return nil
    end
    local state = redis.call('HMGET', job_key(id), 'status', 'cancel')
    if not state[1] or terminal[state[1]] then -- ended by a version before, which does not know of the set
      redis.call('ZREM', set, id)
    elseif state[2] then
      at = at + 1
    else
      return id
    end
  end
end

local conflicts = {'conflict'}
for i = jobs_at, #ARGV, width do
  if ARGV[i + 8] == 'reject' and redis.call('EXISTS', job_key(ARGV[i])) == 0 then
    conflicts[#conflicts + 1] = twin(ARGV[i + 7])
  end
end
if #conflicts > 1 then
  return conflicts
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

-- make makes the job whose arguments begin at i, and returns what the caller does not know of it.
local function make(i)
  local id, database = ARGV[i], ARGV[i + 1]
  local job = job_key(id)
  local second, seq = next_stamp(database)
  redis.call('HSET', job, 'id', id, 'database', database, 'requested_by', ARGV[i + 2], 'request_id', ARGV[i + 3],
    'retry_of', ARGV[i + 4], 'catalog_digest', ARGV[i + 5], 'targets', ARGV[i + 6], 'same', ARGV[i + 7],
    'status', 'queued', 'created_ms', text(now), 'stamp_s', text(second), 'stamp_seq', text(seq))
  if record then
    redis.call('HSET', job, 'idempotency', ARGV[1])
  end
  enlist(entry(id, now), database, 'queued')
  add_same(id, ARGV[i + 7], now)
  watch(id, now + tonumber(ARGV[4]))
  outbox_add('command', id)
  tell(id, 'queued', false)
  return {1, {'created_ms', text(now), 'stamp_s', text(second), 'stamp_seq', text(seq)}, 0}
end

local reply, answered, any_joined = {'accepted'}, {}, false
for i = jobs_at, #ARGV, width do
  local id = ARGV[i]
  local made = redis.call('EXISTS', job_key(id)) == 1 -- by an earlier run
  local other = not made and ARGV[i + 8] == 'join' and twin(ARGV[i + 7])
  if made then
    reply[#reply + 1] = stored(id, id)
  elseif other then
    redis.call('HSET', job_key(other), 'joined', '1')
    reply[#reply + 1] = stored(other, id)
    any_joined = true
  else
    reply[#reply + 1] = make(i)
  end
  answered[#answered + 1] = other or id
end
if record then
  redis.call('HSET', record, 'jobs', table.concat(answered, ' '), 'body', ARGV[2])
  if any_joined then
    redis.call('HSET', record, 'asked', table.concat(asked, ' '))
  end
  redis.call('PEXPIRE', record, ARGV[3])
end
return reply
