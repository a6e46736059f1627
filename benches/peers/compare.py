#!/usr/bin/env python3
"""Runs pingraph and what users would pick instead on the same data, in turn, and prints a table.

    benches/peers/compare.py [--size S|M] [--rounds N] [--only w1,w2,...]

Makes the data and the peers under target/peers the first time. The peers stand in a folder beside
the project (PINGRAPH_PEERS, default ../shared/peers): a C++ program for the kernels, a generator, and
Python scripts. Needs g++, Python 3 and, for PySpark (`--only spark`), Java 17.

Every figure is CPU seconds of the process or kernel unless it says wall; each is the median of the
rounds, and the ratio is the median of the ratios of each round.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
WORK = PROJECT / "target" / "peers"
PEERS = Path(os.environ.get("PINGRAPH_PEERS", PROJECT.parent / "shared" / "peers")).resolve()
SIZES = {"S": (50_000, 20_000, 1_000_000), "M": (300_000, 150_000, 10_000_000)}
FLOOR_SEEDS = 48
SEEDS = 512
PACKAGES = "numpy scipy pandas pyarrow duckdb similaripy psutil".split()

# Parquet to the adjacency of both sides where pairs repeat: the latest event of each pair counts.
DUCKDB = """
import sys, resource, duckdb, numpy as np, scipy.sparse as sp
con = duckdb.connect(); con.execute('SET threads = 2')
con.execute(f"create table e as select user_id, pin_id, max(ts) t from '{sys.argv[1]}' group by all")
q = '''with u as (select user_id, row_number() over (order by user_id) - 1 as i from (select distinct user_id from e)),
       p as (select pin_id, row_number() over (order by pin_id) - 1 as j from (select distinct pin_id from e))
       select i::int as i, j::int as j from e join u using (user_id) join p using (pin_id)'''
t = con.execute(q).fetchnumpy(); i, j = np.asarray(t['i']), np.asarray(t['j'])
A = sp.csr_matrix((np.ones(len(i), np.float32), (i, j))); A.sort_indices(); B = A.T.tocsr()
r = resource.getrusage(resource.RUSAGE_SELF); print('CPU', r.ru_utime + r.ru_stime)
"""


def sh(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, **options)


def output(*command):
    return sh(*command, capture_output=True).stdout


def process_cpu(*command):
    """CPU seconds of the process and its children, and peak memory in MB."""
    code = (
        "import resource,subprocess,sys;"
        "subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);"
        "r=resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(r.ru_utime+r.ru_stime,r.ru_maxrss/1024)"
    )
    cpu, peak = output(sys.executable, "-c", code, *command).split()
    return float(cpu), float(peak)


def spark_cpu(text):
    """CPU seconds of the Java process, which it counts itself: it is no child that is waited for."""
    figures = json.loads(text[text.index("{") :])
    return figures["load_cpu"] + figures["kernel_cpu"]


def prepare(size):
    """The peers, the data of `size`, and pingraph; gives the folder of the data."""
    WORK.mkdir(parents=True, exist_ok=True)
    python = WORK / "python" / "bin" / "python"
    if not python.exists():
        sh(sys.executable, "-m", "venv", WORK / "python")
        sh(python, "-m", "pip", "install", "--quiet", *PACKAGES)
    for name, flags, source in [
        ("gen", [], PEERS / "gen" / "gen.cpp"),
        ("floor", ["-ffast-math", "-fopenmp"], PEERS / "floor.cpp"),
    ]:
        if not (WORK / name).exists():
            sh("g++", "-O3", "-march=native", *flags, "-o", WORK / name, source)
    data = WORK / size
    if not (data / "csr.bin").exists():
        data.mkdir(exist_ok=True)
        sh(WORK / "gen", data, *SIZES[size])
        sh(python, PEERS / "gen" / "prep.py", data, stdout=subprocess.DEVNULL)
    repeated = data / "repeated.parquet"
    if not repeated.exists():
        code = (
            "import duckdb,sys;duckdb.sql(f\"copy (select * from '{sys.argv[1]}' union all select user_id, pin_id,"
            " event_type, ts + 1 from '{sys.argv[1]}' where hash(ts) % 5 = 0) to '{sys.argv[2]}'"
            ' (compression snappy, row_group_size 1000000)")'
        )
        sh(python, "-c", code, data / "edges.parquet", repeated)
    (data / "job.toml").write_text(JOB.format(data=data))
    sh("cargo", "build", "--release", "--quiet", cwd=PROJECT)
    built = output("cargo", "bench", "--bench", "peers", "--no-run", "--message-format", "json")
    lines = (json.loads(line) for line in built.splitlines() if line.startswith("{"))
    bench = next(line["executable"] for line in lines if line.get("target", {}).get("name") == "peers" and line.get("executable"))
    return data, bench, python


JOB = """
[job]
name = "related_pins"
as_of = "2100-01-01"
[source.parquet]
path = "{data}/edges.parquet"
[columns]
left = "user_id"
right = "pin_id"
[graph]
left = "user"
right = "pin"
[features.related_v1.co_engagement]
top_k = 50
[sink.parquet]
path = "{data}/out"
"""


def works(data, bench, python):
    """Name -> (ours, theirs): functions that give one figure each."""
    csr, out, seeds = data / "csr.bin", data / "out.bin", data / "seeds.i64"

    def ours(key, *args):
        return lambda: float(re.search(rf'"{key}":([\d.]+)', output(bench, *args))[1])

    def floor(*args, per=1):
        return lambda: float(re.search(r'"kernel_cpu":([\d.]+)', output(WORK / "floor", *args))[1]) / per

    def w1(*params, key="cpu_s", threads=1):
        return ours(key, "w1", csr, threads, out, *params)

    def w2(accuracy):
        run = ours("ms_per_seed", "w2", csr, out, seeds, SEEDS, f"accuracy = {accuracy}")
        return lambda: run() / 1e3

    def w5(path, workers, cap):
        return [bench, "w5", path, "user_id", "pin_id", workers, "ts", cap]

    def cpu(command):
        return lambda: process_cpu(*command)[0]

    def pairs(workers):
        return ours("wall_s", "w5", data / "edges.parquet", "user_id", "pin_id", workers)

    def duckdb(path):
        return lambda: float(re.search(r"CPU ([\d.]+)", output(python, "-c", DUCKDB, path))[1])

    binary = PROJECT / "target" / "release" / "pingraph"
    run = [binary, "run", data / "job.toml", "--workers", "1", "--quiet"]
    walk = floor("w2", csr, FLOOR_SEEDS, 1, seeds, out, 16, per=FLOOR_SEEDS)
    repeated, similaripy = data / "repeated.parquet", [python, PEERS / "w1.py", "similaripy", data]
    spark = WORK / "spark" / "bin" / "python"
    return {
        "w1: cosine, top 50 / C++": (w1(), floor("w1", csr, 1, out)),
        "w1-2: 2 threads, wall / 1 thread": (w1(key="wall_s", threads=2), w1(key="wall_s")),
        "w1-jaccard / cosine": (w1('measure = "jaccard"'), w1()),
        "w1-log: discount log / cosine": (w1('user_discount = "log"'), w1()),
        "w1-k1000: top 1,000 / top 50": (w1("top_k = 1000"), w1()),
        "w2-fast: a seed / C++": (w2('"fast"'), walk),
        "w2-0.99: a seed / C++": (w2("0.99"), walk),
        "w2-0.999: a seed / C++": (w2("0.999"), walk),
        "w3: PageRank, 20 iterations / C++": (ours("cpu_s", "w3", csr, 1), floor("w3", csr, 1)),
        "w5: repeated pairs and times / DuckDB": (cpu(w5(repeated, 1, 2000)), duckdb(repeated)),
        "w5-cap: every second user beyond the cap / DuckDB": (cpu(w5(repeated, 1, 20)), duckdb(repeated)),
        "w5-2: 2 workers, wall / 1 worker": (ours("wall_s", *w5(repeated, 2, 2000)[1:]), ours("wall_s", *w5(repeated, 1, 2000)[1:])),
        "w5-pairs-2: pairs only, 2 workers, wall / 1 worker": (pairs(2), pairs(1)),
        "job: process / similaripy": (cpu(run), cpu(similaripy)),
        "memory: MB of the job / similaripy": (lambda: process_cpu(*run)[1], lambda: process_cpu(*similaripy)[1]),
        "spark: process / PySpark": (
            lambda: process_cpu(*run)[0],
            lambda: spark_cpu(output(spark, PEERS / "w1_spark.py", data)),
        ),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="M")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="comma-separated beginnings of names; default: all but spark")
    args = parser.parse_args()
    table = works(*prepare(args.size))
    wanted = args.only.split(",") if args.only else None
    chosen = {
        name: pair
        for name, pair in table.items()
        if (any(name.startswith(word) for word in wanted) if wanted else not name.startswith("spark"))
    }
    if any(name.startswith("spark") for name in chosen) and not (WORK / "spark").exists():
        sh(sys.executable, "-m", "venv", WORK / "spark")
        sh(WORK / "spark" / "bin" / "python", "-m", "pip", "install", "--quiet", "pyspark", "pandas", "pyarrow")
    figures = {name: [] for name in chosen}
    for _ in range(args.rounds):
        for name, (ours, theirs) in chosen.items():
            figures[name].append((ours(), theirs()))
    print(f"| {args.size} | pingraph | other | ratio |\n|---|---|---|---|")
    for name, pairs in figures.items():
        ours, theirs = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"| {name} | {ours:.4g} | {theirs:.4g} | {ratio:.3g} (1/{1 / ratio:.3g}) |")


if __name__ == "__main__":
    main()
