-- The newest export of ofertas of postgresql, for DuckDB 1.4 and later.
--
-- Once in each session, to read S3 with the credentials that the AWS tools find:
--   INSTALL httpfs; LOAD httpfs; INSTALL aws; LOAD aws;
--   CREATE SECRET (TYPE s3, PROVIDER credential_chain);
-- A server other than Amazon's needs in it ENDPOINT 'host:port', URL_STYLE 'path' and, without TLS, USE_SSL false too.
--
-- The newest export is the one whose job was accepted last. A query reads all exports from that of 20250102_153045 on:
-- fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.
-- A job that is cancelled takes its exports away again; the manifests say which ones stand.

CREATE SCHEMA IF NOT EXISTS "postgresql";

CREATE OR REPLACE VIEW "postgresql"."ofertas" AS
SELECT
  "oferta_id",
  CAST(regexp_replace("fecha_vencimiento", '^(\S+)(.*) BC$', '\1 (BC)\2') AS TIMESTAMP) AS "fecha_vencimiento",
  CAST(regexp_replace("fecha_creacion", '^(\S+)(.*) BC$', '\1 (BC)\2') AS TIMESTAMP) AS "fecha_creacion",
  CAST(regexp_replace("fecha_actualizacion", '^(\S+)(.*) BC$', '\1 (BC)\2') AS TIMESTAMP) AS "fecha_actualizacion",
  "detalle_id",
  "producto_id",
  "producto_nombre",
  "descuento"
FROM read_csv('s3://pharmavida-ingesta/postgresql/ofertas_completo_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]*.csv',
  columns = {
    'oferta_id': 'BIGINT',
    'fecha_vencimiento': 'VARCHAR',
    'fecha_creacion': 'VARCHAR',
    'fecha_actualizacion': 'VARCHAR',
    'detalle_id': 'BIGINT',
    'producto_id': 'BIGINT',
    'producto_nombre': 'VARCHAR',
    'descuento': 'DOUBLE'
  },
  header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', new_line = '\n',
  nullstr = '', allow_quoted_nulls = false, -- an empty field is NULL, "" is the empty text
  parallel = false, max_line_size = 16777216, buffer_size = 33554432, -- text may be long and hold line breaks
  filename = true) AS export
WHERE export.filename >= 's3://pharmavida-ingesta/postgresql/ofertas_completo_20250102_153045'
  AND export.filename < 's3://pharmavida-ingesta/postgresql/ofertas_completo_:'
  AND export.filename = (
    SELECT arg_max(file, key.stamp || lpad(key.number, 10, '0'))
    FROM (SELECT file, regexp_extract(file, '/postgresql/ofertas_completo_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', ['stamp', 'number']) AS key
          FROM glob('s3://pharmavida-ingesta/postgresql/ofertas_completo_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]*.csv'))
    WHERE key.stamp <> '');
