-- Records that a worker is alive, and what it says of itself.
--
-- KEYS[1]  prefix
-- ARGV[1]  worker
-- ARGV[2]  what it says, as JSON
-- ARGV[3]  how long to believe it, in ms
--
-- Returns {'done'}. A second run writes the same again.

redis.call('SET', prefix .. 'worker:' .. ARGV[1], text(now) .. ' ' .. ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', prefix .. 'workers', now + tonumber(ARGV[3]), ARGV[1])
return {'done'}
