-- Gives up the lead.
--
-- KEYS[1]  prefix
-- ARGV[1]  owner
--
-- Returns {1} when the owner led, else {0} with nothing changed.

if redis.call('GET', prefix .. 'leader') == ARGV[1] then
  redis.call('DEL', prefix .. 'leader')
  return {1}
end
return {0}
