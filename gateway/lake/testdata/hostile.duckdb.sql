-- The newest export of Wild-"Name"; -- of mysql, for DuckDB 1.4 and later.
--
-- Once in each session, to read S3 with the credentials that the AWS tools find:
--   INSTALL httpfs; LOAD httpfs; INSTALL aws; LOAD aws;
--   CREATE SECRET (TYPE s3, PROVIDER credential_chain);
-- A server other than Amazon's needs in it ENDPOINT 'host:port', URL_STYLE 'path' and, without TLS, USE_SSL false too.
--
-- The newest export is the one whose job was accepted last. A query reads all exports from that of 20250102_153045 on:
-- fetch and run these statements again from time to time, and whenever the catalog changes the dataset's columns.
-- A job that is cancelled takes its exports away again; the manifests say which ones stand.
--
-- Of the columns:
--   a"b: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   it's: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   `tick`: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   two�lines; DROP TABLE users; --: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   día: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   名前: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   100% %s %d: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   a.b: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   \: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   select: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   Filename: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   filename_2: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   ID: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   id_3: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   id_2: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   column_1: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   $path: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits
--   --: a decimal without a declared size, as text with all its digits: CAST it to the DECIMAL that fits

CREATE SCHEMA IF NOT EXISTS "mysql";

CREATE OR REPLACE VIEW "mysql"."Wild-""Name""; --" AS
SELECT
  "a""b",
  "it's",
  "`tick`",
  "two
lines; DROP TABLE users; --",
  "día",
  "名前",
  "100% %s %d",
  "a.b",
  "\",
  "select",
  "Filename_3" AS "Filename",
  "filename_2",
  "ID",
  "id_3",
  "id_2",
  "column_1",
  "$path",
  "--"
FROM read_csv('s3://lake/mysql/users_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]*.csv',
  columns = {
    'a"b': 'VARCHAR',
    'it''s': 'VARCHAR',
    '`tick`': 'VARCHAR',
    'two
lines; DROP TABLE users; --': 'VARCHAR',
    'día': 'VARCHAR',
    '名前': 'VARCHAR',
    '100% %s %d': 'VARCHAR',
    'a.b': 'VARCHAR',
    '\': 'VARCHAR',
    'select': 'VARCHAR',
    'Filename_3': 'VARCHAR',
    'filename_2': 'VARCHAR',
    'ID': 'VARCHAR',
    'id_3': 'VARCHAR',
    'id_2': 'VARCHAR',
    'column_1': 'VARCHAR',
    '$path': 'VARCHAR',
    '--': 'VARCHAR'
  },
  header = true, auto_detect = false, delim = ',', quote = '"', escape = '"', new_line = '\n',
  nullstr = '', allow_quoted_nulls = false, -- an empty field is NULL, "" is the empty text
  parallel = false, max_line_size = 16777216, buffer_size = 33554432, -- text may be long and hold line breaks
  filename = true) AS export
WHERE export.filename >= 's3://lake/mysql/users_20250102_153045'
  AND export.filename < 's3://lake/mysql/users_:'
  AND export.filename = (
    SELECT arg_max(file, key.stamp || lpad(key.number, 10, '0'))
    FROM (SELECT file, regexp_extract(file, '/mysql/users_([0-9]{8}_[0-9]{6})(?:_([1-9][0-9]*))?\.csv$', ['stamp', 'number']) AS key
          FROM glob('s3://lake/mysql/users_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]*.csv'))
    WHERE key.stamp <> '');
