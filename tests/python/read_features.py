"""Runs both jobs, reads every table with Polars, DuckDB, pandas and pyarrow, and runs the README's
Python on the output of its first job.

What it would catch: a type or a layout that one of the readers cannot take, keys that are not unique,
lists that are not parallel, timestamps that are not UTC microseconds, a README whose paths, columns or
calls are not those of the program and of the readers.
"""

import ast
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

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


def readme_blocks(language: str) -> list[str]:
    """The fenced blocks of the README in `language`."""
    text = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run_readme_block(code: str, cwd: pathlib.Path) -> str:
    """Runs one block as a process of its own, in the folder that its paths start from; gives what it
    shows. A block that ends in an assignment is followed by a print of it, as its reader would."""
    last = ast.parse(code).body[-1]
    if isinstance(last, ast.Assign):
        (target,) = last.targets
        code += f"assert len({target.id}) > 0, 'no rows'\nprint({target.id})\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"the README's block raises:\n{code}\n{done.stderr}"
    return done.stdout


def check_readme(out: pathlib.Path) -> int:
    """Runs every Python block of the README where its first job has published; gives how many."""
    first_job = re.search(r"run jobs/(\w+)\.toml", readme_blocks("sh")[0]).group(1)
    assert first_job == JOBS[0], first_job
    blocks = readme_blocks("python")
    for code in blocks:
        shown = run_readme_block(code, out)
        # Ids and scores of pins: a table without rows shows names and types, but no decimals.
        assert re.search(r"\d\.\d", shown), f"the README's block shows no row:\n{code}\n{shown}"
    readers = {reader for code in blocks for reader in re.findall(r"^import (\w+)", code, re.MULTILINE)}
    assert readers == {"polars", "duckdb", "pandas"}, readers
    return len(blocks)


def main() -> None:
    program = binary()
    tables = 0
    with tempfile.TemporaryDirectory() as out:
        for job in JOBS:
            file = ROOT / "jobs" / f"{job}.toml"
            # Below the temporary folder, at the path that the job and the README name.
            target = pathlib.Path(out) / tomllib.loads(file.read_text())["sink"]["parquet"]["path"]
            subprocess.run(
                [program, "--quiet", "run", file, "--set", f"sink.parquet.path={target}"],
                cwd=ROOT,
                check=True,
            )
            for folder in sorted(target.glob("*/dt=*")):
                assert check(folder) > 0, folder
                tables += 1
        snippets = check_readme(pathlib.Path(out))
    assert tables >= 6, tables
    print(f"{tables} tables read by every reader, {snippets} snippets of the README run")


if __name__ == "__main__":
    sys.exit(main())
