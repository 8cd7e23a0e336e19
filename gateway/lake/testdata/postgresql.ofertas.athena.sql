-- The newest export of ofertas of postgresql, for Amazon Athena and AWS Glue. Run the statements one by one.
--
-- The newest export is the one whose job was accepted last. A query reads all exports from that of 20250102_153045 on:
-- fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.
-- Then DROP TABLE `postgresql`.`ofertas_files` comes first; it leaves the objects alone. An export without rows is not
-- seen: the view shows the one before it. A job that is cancelled takes its exports away again; the manifests say
-- which ones stand.
--
-- What Athena's reader of CSV loses: NULL and the empty text are one, and come as NULL. What its type cannot hold
-- (NaN in a decimal, infinity and years before the first in a time) comes as NULL too; ofertas_files has the text. The
-- escape character is one that no text has: it would be the backslash otherwise.
-- A record whose text holds a line break falls apart into several wrong ones.
--
-- The folder below is shared with other datasets, whose objects the view leaves out by their names. Athena lists all of
-- them for each query, and may have to read them: INGESTA_KEY_TEMPLATE={database}/{object}/{object}_{stamp}.csv gives
-- each dataset a folder of its own.
--
-- Of the columns:
--   fecha_vencimiento: to milliseconds
--   fecha_creacion: to milliseconds
--   fecha_actualizacion: to milliseconds

CREATE DATABASE IF NOT EXISTS `postgresql`;

CREATE EXTERNAL TABLE IF NOT EXISTS `postgresql`.`ofertas_files` (
  `oferta_id` string,
  `fecha_vencimiento` string,
  `fecha_creacion` string,
  `fecha_actualizacion` string,
  `detalle_id` string,
  `producto_id` string,
  `producto_nombre` string,
  `descuento` string
)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '"', 'escapeChar' = '\001')
STORED AS TEXTFILE
LOCATION 's3://pharmavida-ingesta/postgresql/'
TBLPROPERTIES ('skip.header.line.count' = '1');

CREATE OR REPLACE VIEW "postgresql"."ofertas" AS
SELECT
  TRY_CAST("oferta_id" AS bigint) AS "oferta_id",
  TRY_CAST("fecha_vencimiento" AS timestamp) AS "fecha_vencimiento",
  TRY_CAST("fecha_creacion" AS timestamp) AS "fecha_creacion",
  TRY_CAST("fecha_actualizacion" AS timestamp) AS "fecha_actualizacion",
  TRY_CAST("detalle_id" AS bigint) AS "detalle_id",
  TRY_CAST("producto_id" AS bigint) AS "producto_id",
  NULLIF("producto_nombre", '') AS "producto_nombre",
  TRY_CAST("descuento" AS double) AS "descuento"
FROM "postgresql"."ofertas_files"
WHERE "$path" >= 's3://pharmavida-ingesta/postgresql/ofertas_completo_20250102_153045'
  AND "$path" < 's3://pharmavida-ingesta/postgresql/ofertas_completo_:'
  AND "$path" = (
    SELECT max_by(path, stamp || lpad(coalesce(number, ''), 10, '0'))
    FROM (SELECT "$path" AS path,
                 regexp_extract("$path", '/postgresql/ofertas_completo_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 1) AS stamp,
                 regexp_extract("$path", '/postgresql/ofertas_completo_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', 2) AS number
          FROM "postgresql"."ofertas_files"
          WHERE "$path" >= 's3://pharmavida-ingesta/postgresql/ofertas_completo_20250102_153045'
            AND "$path" < 's3://pharmavida-ingesta/postgresql/ofertas_completo_:')
    WHERE stamp IS NOT NULL);
