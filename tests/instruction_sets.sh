#!/usr/bin/env bash
# Builds the program for several instruction sets, runs the same jobs with each, and compares every byte
# that they publish. Catches a sum whose order, or a multiplication and addition whose rounding, depends
# on what the compiler may use.
#
#     tests/instruction_sets.sh [CPU ...]      names as in -C target-cpu; by default x86-64, x86-64-v3
#                                              and native, on other machines generic and native
#
# Each build from nothing takes about eight minutes of CPU; they stay under target/instruction-sets.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
  cpus=("$@")
elif [ "$(uname -m)" = x86_64 ]; then
  cpus=(x86-64 x86-64-v3 native)
else
  cpus=(generic native)
fi
export SOURCE_DATE_EPOCH=1800000000

root=target/instruction-sets
for cpu in "${cpus[@]}"; do
  RUSTFLAGS="-C target-cpu=$cpu" CARGO_TARGET_DIR="$root/$cpu" \
    cargo build --release --locked --quiet --bin pingraph
  rm -rf "$root/out" "$root/out-$cpu"
  for job in jobs/*.toml tests/instruction_sets.toml; do
    # The output goes to one path, since the manifest names it, and is moved away.
    "$root/$cpu/release/pingraph" run "$job" --workers 2 --quiet \
      --set "sink.parquet.path=$root/out/$(basename "$job" .toml)"
  done
  mv "$root/out" "$root/out-$cpu"
  files=$(find "$root/out-$cpu" -name '*.parquet' | wc -l)
  if [ "$files" -lt 10 ]; then
    printf '%s published %d files only\n' "$cpu" "$files" >&2
    exit 1
  fi
  diff --recursive --brief "$root/out-${cpus[0]}" "$root/out-$cpu"
  printf '%s: %d files, the same bytes as %s\n' "$cpu" "$files" "${cpus[0]}"
done
