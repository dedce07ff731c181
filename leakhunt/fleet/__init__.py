"""Many runs together: written as Parquet into one place, asked by Ibis on DuckDB or Spark.

tables.py    a run as rows: small, one set for each process and day
columns.py   what these rows are; their text is the documentation
place.py     any place that fsspec knows; a run is there as a whole or not at all
engine.py    DuckDB or Spark behind the same Ibis tables
questions.py what a report asks, written once in Ibis
report.py    the answers as plain values
"""
