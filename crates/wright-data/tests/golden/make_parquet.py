"""Writes one table with several writers of Parquet, in the forms that they give it.

    pip install pyarrow duckdb polars
    python make_parquet.py        # writes parquet/*.parquet and parquet/rows.jsonl beside itself

The test reads each file and wants the documents that the JSONL gives.
"""

import json
import pathlib

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent / "parquet"
WORDS = "river stone lamp über winter 夜 garden bridge sail 🙂 copper hill thread moss".split()


def row(n):
    """Row `n`: texts that repeat, that begin alike, that are missing or empty."""
    words = [WORDS[(n * 7 + k * k) % len(WORDS)] for k in range(4 + n % 9)]
    text = f"Chapter {n // 8}, verse {n % 8}: " + " ".join(words) + "."
    if n % 11 == 5:
        text = "The same verse again."
    if n % 13 == 7:
        text = None
    if n % 17 == 9:
        text = ""
    return {
        "id": n,
        "text": text,
        "tags": WORDS[: n % 3],
        "license": ["MIT", None, "CC-BY-4.0"][n % 3],
        "meta": {"url": f"shelf/{n}" if n % 4 else None, "score": n / 2},
        "turns": [{"role": "user", "content": WORDS[n % 5]}] * (n % 3),
        "title": f"Verse {n}" if n % 2 else None,
    }


def main():
    HERE.mkdir(exist_ok=True)
    rows = [row(n) for n in range(100)]
    lines = (json.dumps(r, ensure_ascii=False) for r in rows)
    (HERE / "rows.jsonl").write_text("\n".join(lines) + "\n")
    table = pa.Table.from_pylist(rows)

    def write(name, table=table, **options):
        pq.write_table(table, HERE / f"pyarrow-{name}.parquet", **options)

    write("snappy", row_group_size=40)
    write("plain", compression="none", use_dictionary=False, data_page_size=512, write_batch_size=8)
    write("zstd-v2", compression="zstd", data_page_version="2.0", row_group_size=64)
    write("gzip-sums", compression="gzip", write_page_checksum=True)
    write("lz4-small", compression="lz4", data_page_size=256, write_batch_size=4)
    write("v2-plain", compression="none", use_dictionary=False, data_page_version="2.0")
    texts = {"text": "DELTA_BYTE_ARRAY", "title": "DELTA_LENGTH_BYTE_ARRAY"}
    small = {"data_page_size": 600, "write_batch_size": 16}
    write("delta", use_dictionary=False, column_encoding=texts, **small)
    write("delta-v2", use_dictionary=False, column_encoding=texts, data_page_version="2.0")
    # A column that must be there has no levels, and a long dictionary goes on in plain pages.
    there = [r for r in rows if r["text"]]
    fields = [pa.field("text", pa.large_string(), nullable=False), pa.field("license", pa.string())]
    write("required", pa.Table.from_pylist(there, schema=pa.schema(fields)))
    write("overflow", dictionary_pagesize_limit=600, write_batch_size=8, data_page_size=400)
    # One long text for many rows: a few kilobytes that stand for 40 MB.
    long = {"text": [" ".join(WORDS) * 1000] * 600}
    write("long", pa.table(long), compression="zstd")
    write("brotli", compression="brotli")
    write("numbers", table.select(["id", "tags"]))

    verses = table  # DuckDB finds it by its name
    for name, options in [("snappy", ""), ("zstd", ", codec zstd"), ("v2", ", parquet_version v2")]:
        target = HERE / f"duckdb-{name}.parquet"
        duckdb.sql(f"copy (select * from verses) to '{target}' (format parquet{options})")
    polars.from_arrow(table).write_parquet(HERE / "polars.parquet")


main()
