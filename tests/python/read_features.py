"""Runs both jobs and reads every table with Polars, DuckDB, pandas and pyarrow, as the README shows.

What it would catch: a type or a layout that one of the readers cannot take, keys that are not unique,
lists that are not parallel, timestamps that are not UTC microseconds.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import duckdb
import pandas
import polars
import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = ["related_pins", "homefeed"]


def binary() -> str:
    """The built program, as cargo names it."""
    command = ["cargo", "build", "--quiet", "--locked", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    messages = [json.loads(line) for line in lines.splitlines()]
    return [m["executable"] for m in messages if m.get("executable")][-1]


def check(folder: pathlib.Path) -> int:
    """Reads one published partition by every reader and compares them; gives its rows."""
    manifest = json.loads((folder / "_manifest.json").read_text())
    glob = str(folder / "*.parquet")
    rows = sum(part["rows"] for part in manifest["files"])

    frame = polars.read_parquet(glob)
    assert frame.height == rows, (folder, frame.height, rows)
    key = frame.columns[0]
    assert frame[key].is_unique().all() and frame[key].is_sorted(), folder
    for name in ["event_timestamp", "created_timestamp"]:
        assert frame[name].dtype == polars.Datetime("us", "UTC"), (folder, name)
    lists = [name for name in frame.columns if isinstance(frame[name].dtype, polars.List)]
    lengths = [frame[name].list.len() for name in lists]
    assert all((length == lengths[0]).all() for length in lengths), folder

    duckdb.sql("set TimeZone = 'UTC'")  # DuckDB shows times in the session's zone.
    table = duckdb.sql(f"select * from '{glob}' order by 1").to_arrow_table()
    assert table.num_rows == rows, folder
    assert polars.from_arrow(table).select(frame.columns).equals(frame), folder

    data = pandas.concat(pandas.read_parquet(part) for part in sorted(folder.glob("*.parquet")))
    assert len(data) == rows and str(data["event_timestamp"].dtype).startswith("datetime64"), folder
    assert data[key].tolist() == frame[key].to_list(), folder

    for part in folder.glob("*.parquet"):
        for field in pyarrow.parquet.read_schema(part):
            if pyarrow.types.is_list(field.type):
                assert field.type.value_field.name in ("item", "element"), (folder, field)
    return rows


def main() -> None:
    program = binary()
    tables = 0
    with tempfile.TemporaryDirectory() as out:
        for job in JOBS:
            target = pathlib.Path(out) / job
            subprocess.run(
                [program, "--quiet", "run", f"jobs/{job}.toml", "--set", f"sink.parquet.path={target}"],
                cwd=ROOT,
                check=True,
            )
            for folder in sorted(target.glob("*/dt=*")):
                assert check(folder) > 0, folder
                tables += 1
    assert tables >= 6, tables
    print(f"{tables} tables read by every reader")


if __name__ == "__main__":
    sys.exit(main())
