-- The newest export of productos of postgresql, for DuckDB 1.4 and later.
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

CREATE OR REPLACE VIEW "postgresql"."productos" AS
SELECT
  "id",
  "nombre",
  "tipo",
  "precio",
  "stock",
  "requiere_receta",
  CAST(regexp_replace("fecha_creacion", '^(\S+)(.*) BC$', '\1 (BC)\2') AS TIMESTAMP) AS "fecha_creacion",
  CAST(regexp_replace("fecha_actualizacion", '^(\S+)(.*) BC$', '\1 (BC)\2') AS TIMESTAMP) AS "fecha_actualizacion"
FROM read_csv('s3://pharmavida-ingesta/postgresql/productos_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]*.csv',
  columns = {
    'id': 'BIGINT',
    'nombre': 'VARCHAR',
    'tipo': 'VARCHAR',
    'precio': 'DOUBLE',
    'stock': 'BIGINT',
    'requiere_receta': 'BOOLEAN',
    'fecha_creacion': 'VARCHAR',
    'fecha_actualizacion': 'VARCHAR'
  },
  header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', new_line = '\n',
  nullstr = '', allow_quoted_nulls = false, -- an empty field is NULL, "" is the empty text
  parallel = false, max_line_size = 16777216, buffer_size = 33554432, -- text may be long and hold line breaks
  filename = true) AS export
WHERE export.filename >= 's3://pharmavida-ingesta/postgresql/productos_20250102_153045'
  AND export.filename < 's3://pharmavida-ingesta/postgresql/productos_:'
  AND export.filename = (
    SELECT arg_max(file, key.stamp || lpad(key.number, 10, '0'))
    FROM (SELECT file, regexp_extract(file, '/postgresql/productos_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', ['stamp', 'number']) AS key
          FROM glob('s3://pharmavida-ingesta/postgresql/productos_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]*.csv'))
    WHERE key.stamp <> '');
