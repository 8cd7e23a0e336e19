"""The method of the original ingestion scripts, written anew from their description.

It reads a whole table into a pandas DataFrame, writes it as CSV into memory, and puts that into S3
with one request. It is measured as a process, from its start to its end.

    original.py postgresql|mysql TABLE COLUMN,COLUMN,… KEY

Addresses and credentials come from the variables that the workers read.
"""

import io
import os
import sys

import boto3
import pandas
import sqlalchemy

SOURCES = {
    "postgresql": ("postgresql+psycopg2", "POSTGRES"),
    "mysql": ("mysql+pymysql", "SOURCE_MYSQL"),
}


def engine(database):
    driver, prefix = SOURCES[database]
    setting = lambda name: os.environ[f"{prefix}_{name}"]
    return sqlalchemy.create_engine(
        sqlalchemy.engine.URL.create(
            driver,
            username=setting("USER"),
            password=setting("PASSWORD"),
            host=setting("HOST"),
            port=int(setting("PORT")),
            database=setting("DATABASE"),
        )
    )


def main():
    database, table, columns, key = sys.argv[1:]
    frame = pandas.read_sql(f"SELECT {', '.join(columns.split(','))} FROM {table}", engine(database))
    text = io.StringIO()
    frame.to_csv(text, index=False)
    boto3.client(
        "s3",
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        region_name=os.environ["AWS_REGION"],
    ).put_object(Bucket=os.environ["AWS_BUCKET_NAME"], Key=key, Body=text.getvalue())
    print(len(frame))


main()
