-- The newest export of Wild-"Name"; -- of mysql, for Amazon Athena and AWS Glue. Run the statements one by one.
--
-- The newest export is the one whose job was accepted last. A query reads all exports from that of 20250102_153045 on:
-- fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.
-- Then DROP TABLE `mysql`.`wild__name______files` comes first; it leaves the objects alone. An export without rows is not
-- seen: the view shows the one before it. A job that is cancelled takes its exports away again; the manifests say
-- which ones stand.
--
-- What Athena's reader of CSV loses: NULL and the empty text are one, and come as NULL. What its type cannot hold
-- (NaN in a decimal, infinity and years before the first in a time) comes as NULL too; wild__name______files has the text. The
-- escape character is one that no text has: it would be the backslash otherwise.
--
-- The folder below is shared with other datasets, whose objects the view leaves out by their names. Athena lists all of
-- them for each query, and may have to read them: INGESTA_KEY_TEMPLATE={database}/{object}/{object}_{stamp}.csv gives
-- each dataset a folder of its own.
--
-- Of the columns:
--   a"b: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   it's: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   `tick`: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   two�lines; DROP TABLE users; --: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   día: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   名前: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   100% %s %d: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   a.b: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   \: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   select: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   Filename: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   filename_2: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   ID: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   id_3: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   id_2: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   column_1: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   $path: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits
--   --: a decimal without a declared size, as text with all its digits: CAST it to the decimal that fits

CREATE DATABASE IF NOT EXISTS `mysql`;

CREATE EXTERNAL TABLE IF NOT EXISTS `mysql`.`wild__name______files` (
  `column_1` string,
  `column_2` string,
  `column_3` string,
  `column_4` string,
  `column_5` string,
  `column_6` string,
  `column_7` string,
  `column_8` string,
  `column_9` string,
  `select` string,
  `filename` string,
  `filename_2` string,
  `id` string,
  `id_3` string,
  `id_2` string,
  `column_1_2` string,
  `column_17` string,
  `column_18` string
)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '"', 'escapeChar' = '\001')
STORED AS TEXTFILE
LOCATION 's3://lake/mysql/'
TBLPROPERTIES ('skip.header.line.count' = '1');

CREATE OR REPLACE VIEW "mysql"."wild__name_____" AS
SELECT
  NULLIF("column_1", '') AS "a""b",
  NULLIF("column_2", '') AS "it's",
  NULLIF("column_3", '') AS "`tick`",
  NULLIF("column_4", '') AS "two�lines; DROP TABLE users; --",
  NULLIF("column_5", '') AS "día",
  NULLIF("column_6", '') AS "名前",
  NULLIF("column_7", '') AS "100% %s %d",
  NULLIF("column_8", '') AS "a.b",
  NULLIF("column_9", '') AS "\",
  NULLIF("select", '') AS "select",
  NULLIF("filename", '') AS "Filename",
  NULLIF("filename_2", '') AS "filename_2",
  NULLIF("id", '') AS "ID",
  NULLIF("id_3", '') AS "id_3",
  NULLIF("id_2", '') AS "id_2",
  NULLIF("column_1_2", '') AS "column_1",
  NULLIF("column_17", '') AS "$path",
  NULLIF("column_18", '') AS "--"
FROM "mysql"."wild__name______files"
WHERE "$path" >= 's3://lake/mysql/users_20250102_153045'
  AND "$path" < 's3://lake/mysql/users_:'
  AND "$path" = (
    SELECT max_by(path, stamp || lpad(coalesce(number, ''), 10, '0'))
    FROM (SELECT "$path" AS path,
                 regexp_extract("$path", '/mysql/users_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 1) AS stamp,
                 regexp_extract("$path", '/mysql/users_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 2) AS number
          FROM "mysql"."wild__name______files"
          WHERE "$path" >= 's3://lake/mysql/users_20250102_153045'
            AND "$path" < 's3://lake/mysql/users_:')
    WHERE stamp IS NOT NULL);
