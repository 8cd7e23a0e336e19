-- The newest export of medicos of mongodb, for Amazon Athena and AWS Glue. Run the statements one by one.
--
-- The newest export is the one whose job was accepted last. A query reads all exports from that of 20250102_153045 on:
-- fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.
-- Then DROP TABLE `mongodb`.`medicos_files` comes first; it leaves the objects alone. An export without rows is not
-- seen: the view shows the one before it. A job that is cancelled takes its exports away again; the manifests say
-- which ones stand.
--
-- What Athena's reader of CSV loses: NULL and the empty text are one, and come as NULL. What its type cannot hold
-- (NaN in a decimal, infinity and years before the first in a time) comes as NULL too; medicos_files has the text. The
-- escape character is one that no text has: it would be the backslash otherwise.
-- A record whose text holds a line break falls apart into several wrong ones.
--
-- The folder below is shared with other datasets, whose objects the view leaves out by their names. Athena lists all of
-- them for each query, and may have to read them: INGESTA_KEY_TEMPLATE={database}/{object}/{object}_{stamp}.csv gives
-- each dataset a folder of its own.
--
-- Of the columns:
--   createdAt: in UTC, to milliseconds
--   updatedAt: in UTC, to milliseconds

CREATE DATABASE IF NOT EXISTS `mongodb`;

CREATE EXTERNAL TABLE IF NOT EXISTS `mongodb`.`medicos_files` (
  `_id` string,
  `cmp` string,
  `nombre` string,
  `especialidad` string,
  `colegiaturavalida` string,
  `createdat` string,
  `updatedat` string
)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '"', 'escapeChar' = '\001')
STORED AS TEXTFILE
LOCATION 's3://pharmavida-ingesta/mongodb/'
TBLPROPERTIES ('skip.header.line.count' = '1');

CREATE OR REPLACE VIEW "mongodb"."medicos" AS
SELECT
  NULLIF("_id", '') AS "_id",
  NULLIF("cmp", '') AS "cmp",
  NULLIF("nombre", '') AS "nombre",
  NULLIF("especialidad", '') AS "especialidad",
  TRY_CAST("colegiaturavalida" AS boolean) AS "colegiaturaValida",
  TRY_CAST(replace("createdat", '+00') AS timestamp) AS "createdAt",
  TRY_CAST(replace("updatedat", '+00') AS timestamp) AS "updatedAt"
FROM "mongodb"."medicos_files"
WHERE "$path" >= 's3://pharmavida-ingesta/mongodb/medicos_20250102_153045'
  AND "$path" < 's3://pharmavida-ingesta/mongodb/medicos_:'
  AND "$path" = (
    SELECT max_by(path, stamp || lpad(coalesce(number, ''), 10, '0'))
    FROM (SELECT "$path" AS path,
                 regexp_extract("$path", '/mongodb/medicos_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 1) AS stamp,
                 regexp_extract("$path", '/mongodb/medicos_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 2) AS number
          FROM "mongodb"."medicos_files"
          WHERE "$path" >= 's3://pharmavida-ingesta/mongodb/medicos_20250102_153045'
            AND "$path" < 's3://pharmavida-ingesta/mongodb/medicos_:')
    WHERE stamp IS NOT NULL);
