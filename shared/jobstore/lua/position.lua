-- Says where the history of transitions ends at present.
--
-- KEYS[1]  prefix
--
-- Returns {position}. A position is that of an entry, so that one which is still there tells that
-- nothing after it is missing: a history without any gets one that tells of no job.

local last = redis.call('XREVRANGE', prefix .. 'history', '+', '-', 'COUNT', 1)[1]
if last then
  return {last[1]}
end
return {redis.call('XADD', prefix .. 'history', '*', 'change', '')}
