-- Says whether a fence still owns its job.
--
-- KEYS[1]  prefix
-- ARGV[1]  job id
-- ARGV[2]  fence
--
-- Returns {standing}. Changes nothing.

return {standing(job_key(ARGV[1]), ARGV[2])}
