-- Reads one page of jobs from an index, newest first.
--
-- KEYS[1]  prefix
-- ARGV[1]  index, without the prefix
-- ARGV[2]  where to start: '+', or '(' and the last member of the page before
-- ARGV[3]  how many members to read
--
-- Returns {member, fields} for each; fields are empty when the job has expired.

local page = {}
for _, member in ipairs(redis.call('ZREVRANGEBYLEX', prefix .. ARGV[1], ARGV[2], '-', 'LIMIT', 0, ARGV[3])) do
  page[#page + 1] = {member, redis.call('HGETALL', job_key(entry_id(member)))}
end
return page
