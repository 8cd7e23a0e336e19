-- The newest export of productos of postgresql, for Amazon Athena and AWS Glue. Run the statements one by one.
--
-- The newest export is the one whose job was accepted last. A query reads all exports from that of 20250102_153045 on:
-- fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.
-- Then DROP TABLE `postgresql`.`productos_files` comes first; it leaves the objects alone. An export without rows is not
-- seen: the view shows the one before it. A job that is cancelled takes its exports away again; the manifests say
-- which ones stand.
--
-- What Athena's reader of CSV loses: NULL and the empty text are one, and come as NULL. What its type cannot hold
-- (NaN in a decimal, infinity and years before the first in a time) comes as NULL too; productos_files has the text. The
-- escape character is one that no text has: it would be the backslash otherwise.
-- A record whose text holds a line break falls apart into several wrong ones.
--
-- The folder below is shared with other datasets, whose objects the view leaves out by their names. Athena lists all of
-- them for each query, and may have to read them: INGESTA_KEY_TEMPLATE={database}/{object}/{object}_{stamp}.csv gives
-- each dataset a folder of its own.
--
-- Of the columns:
--   fecha_creacion: to milliseconds
--   fecha_actualizacion: to milliseconds

CREATE DATABASE IF NOT EXISTS `postgresql`;

CREATE EXTERNAL TABLE IF NOT EXISTS `postgresql`.`productos_files` (
  `id` string,
  `nombre` string,
  `tipo` string,
  `precio` string,
  `stock` string,
  `requiere_receta` string,
  `fecha_creacion` string,
  `fecha_actualizacion` string
)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '"', 'escapeChar' = '\001')
STORED AS TEXTFILE
LOCATION 's3://pharmavida-ingesta/postgresql/'
TBLPROPERTIES ('skip.header.line.count' = '1');

CREATE OR REPLACE VIEW "postgresql"."productos" AS
SELECT
  TRY_CAST("id" AS bigint) AS "id",
  NULLIF("nombre", '') AS "nombre",
  NULLIF("tipo", '') AS "tipo",
  TRY_CAST("precio" AS double) AS "precio",
  TRY_CAST("stock" AS bigint) AS "stock",
  TRY_CAST("requiere_receta" AS boolean) AS "requiere_receta",
  TRY_CAST("fecha_creacion" AS timestamp) AS "fecha_creacion",
  TRY_CAST("fecha_actualizacion" AS timestamp) AS "fecha_actualizacion"
FROM "postgresql"."productos_files"
WHERE "$path" >= 's3://pharmavida-ingesta/postgresql/productos_20250102_153045'
  AND "$path" < 's3://pharmavida-ingesta/postgresql/productos_:'
  AND "$path" = (
    SELECT max_by(path, stamp || lpad(coalesce(number, ''), 10, '0'))
    FROM (SELECT "$path" AS path,
                 regexp_extract("$path", '/postgresql/productos_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 1) AS stamp,
                 regexp_extract("$path", '/postgresql/productos_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 2) AS number
          FROM "postgresql"."productos_files"
          WHERE "$path" >= 's3://pharmavida-ingesta/postgresql/productos_20250102_153045'
            AND "$path" < 's3://pharmavida-ingesta/postgresql/productos_:')
    WHERE stamp IS NOT NULL);
