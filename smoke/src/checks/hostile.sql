# Files.
SELECT * FROM read_csv('{file}')
SELECT * FROM read_csv_auto('{file}')
SELECT * FROM read_text('{file}')
SELECT * FROM read_blob('{file}')
SELECT * FROM read_json('{file}')
SELECT * FROM read_json_auto('{file}')
SELECT * FROM read_ndjson('{file}')
SELECT * FROM read_json_objects('{file}')
SELECT * FROM read_parquet('{file}')
SELECT * FROM parquet_scan('{file}')
SELECT * FROM parquet_metadata('{file}')
SELECT * FROM parquet_schema('{file}')
SELECT * FROM parquet_file_metadata('{file}')
SELECT * FROM parquet_kv_metadata('{file}')
SELECT * FROM sniff_csv('{file}')
SELECT * FROM glob('/*')
SELECT * FROM glob('datasets/**')
SELECT * FROM '{file}'
FROM '{file}'
SELECT * FROM "{file}"
SELECT (SELECT a FROM '{file}')
SELECT * FROM {t} WHERE id IN (SELECT length(content) FROM read_text('{file}'))
WITH x AS (SELECT * FROM read_csv('{file}')) SELECT * FROM x
WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x, read_text('{file}') WHERE n < 2) SELECT * FROM x
SELECT * FROM {t} JOIN '{file}' ON true
SELECT * FROM {t}, LATERAL (SELECT * FROM read_text('{file}'))
SELECT * FROM read_text(['{file}'])
SELECT * FROM READ_TEXT('{file}')
SELECT * FROM "read_text"('{file}')
SELECT * FROM main.read_text('{file}')
SELECT * FROM system.main.read_text('{file}')
SELECT * FROM {t} UNION ALL SELECT length(content) FROM read_text('{file}')
SELECT EXISTS (FROM '{file}')
PIVOT '{file}' ON a IN ('x')
UNPIVOT '{file}' ON a
SUMMARIZE '{file}'
DESCRIBE '{file}'
DESCRIBE SELECT * FROM read_text('{file}')
SUMMARIZE SELECT * FROM read_csv('{file}')
EXPLAIN SELECT * FROM read_text('{file}')
EXPLAIN ANALYZE SELECT * FROM read_text('{file}')
TABLE '{file}'
SELECT * FROM '/proc/self/environ'
SELECT * FROM read_text('/proc/self/environ')
SELECT * FROM read_text('/etc/passwd')
SELECT * FROM read_blob('../lakehouse.lock')
VALUES ((SELECT content FROM read_text('{file}')))
SELECT * FROM {t} ORDER BY (SELECT content FROM read_text('{file}'))
SELECT id FROM {t} GROUP BY id HAVING count(*) > (SELECT count(*) FROM '{file}')
SELECT list((SELECT content FROM read_text('{file}'))) OVER () FROM {t}
# By detours.
SELECT * FROM query('SELECT * FROM read_text(''{file}'')')
SELECT * FROM query_table('{file}')
SELECT * FROM query('FROM ''{file}''')
SELECT * FROM query('COPY {t} TO ''{new}''')
SELECT * FROM query(('SELECT * FROM read_text(' || chr(39) || '{file}' || chr(39) || ')'))
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{file}'')'))
PRAGMA json_execute_serialized_sql('{}')
SELECT * FROM sql_auto_complete('SELECT')
# Writes.
COPY {t} TO '{new}'
COPY (SELECT 1) TO '{new}' (FORMAT parquet)
COPY {t} FROM '{file}'
COPY FROM DATABASE memory TO memory
EXPORT DATABASE '{new}'
IMPORT DATABASE '{new}'
ATTACH '{new}' AS other
ATTACH ':memory:' AS other
DETACH memory
USE memory
CREATE TABLE x (a INTEGER)
CREATE TABLE x AS SELECT 1
CREATE TEMP TABLE x AS SELECT 1
CREATE VIEW x AS SELECT 1
CREATE OR REPLACE VIEW {t} AS SELECT 1
CREATE MACRO f(a) AS a
CREATE SEQUENCE s
CREATE SCHEMA s
CREATE TYPE mood AS ENUM ('a')
CREATE INDEX i ON {t} (id)
INSERT INTO {t} VALUES (3)
UPDATE {t} SET id = 3
DELETE FROM {t}
TRUNCATE {t}
MERGE INTO {t} USING {t} AS s ON false WHEN NOT MATCHED THEN INSERT VALUES (1)
DROP VIEW {t}
DROP TABLE {t}
ALTER TABLE {t} ADD COLUMN x INTEGER
COMMENT ON TABLE {t} IS 'x'
WITH x AS (INSERT INTO {t} VALUES (3) RETURNING *) SELECT * FROM x
WITH x AS (DELETE FROM {t} RETURNING *) SELECT * FROM x
# Extensions, settings, secrets.
INSTALL httpfs
INSTALL spatial FROM community
FORCE INSTALL httpfs
LOAD httpfs
LOAD '{new}'
UPDATE EXTENSIONS
SET memory_limit = '1GB'
SET GLOBAL threads = 64
SET enable_external_access = true
SET VARIABLE x = 1
RESET memory_limit
RESET ALL
PRAGMA version
PRAGMA database_list
PRAGMA threads=4
PRAGMA enable_profiling
PRAGMA disable_optimizer
CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')
CREATE PERSISTENT SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')
DROP SECRET s
SELECT * FROM duckdb_secrets()
SELECT * FROM which_secret('s3://x/y', 's3')
SELECT * FROM duckdb_settings()
SELECT * FROM pragma_version()
SELECT * FROM duckdb_temporary_files()
SELECT * FROM duckdb_extensions()
SELECT * FROM duckdb_functions()
SELECT * FROM pragma_database_list
SELECT * FROM duckdb_logs()
SELECT * FROM duckdb_variables()
SELECT current_setting('s3_secret_access_key')
SELECT current_setting('temp_directory')
SELECT getvariable('x')
SELECT getenv('HOME')
SELECT (SELECT getenv('PATH')) FROM {t}
# The network.
SELECT * FROM 'http://127.0.0.1:1/x.parquet'
SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')
SELECT * FROM read_csv('s3://smoke/_catalog/x.csv')
SELECT * FROM 's3://smoke/datasets/x.parquet'
SELECT * FROM read_text('gcs://bucket/x')
SELECT * FROM read_text('hf://datasets/x')
# More than one statement, and none.
SELECT 1; SELECT 2
SELECT 1; DROP VIEW {t}
SELECT 1;; COPY {t} TO '{new}'
DROP VIEW {t}; SELECT 1
SELECT 1 /* ; */ ; COPY {t} TO '{new}' -- x
SELECT 1 -- comment\n; INSTALL httpfs
SELECT ';' ; LOAD httpfs
/* SELECT 1 */ ATTACH '{new}' AS other
-- nothing
;
BEGIN TRANSACTION
COMMIT
ROLLBACK
CHECKPOINT
VACUUM
ANALYZE
CALL pragma_version()
CALL duckdb_settings()
PREPARE p AS SELECT 1
EXECUTE p
DEALLOCATE p
EXPLAIN COPY {t} TO '{new}'
EXPLAIN ANALYZE COPY {t} TO '{new}'
EXPLAIN INSERT INTO {t} VALUES (3)
