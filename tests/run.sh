#!/usr/bin/env bash
# Runs every test of the project: formatting, lints, unit, integration and documentation tests, and
# the readers of other languages. Needs the Rust toolchain; installs everything else under target/.
# A part whose tool cannot be had is named at the end as skipped, never passed over in silence.
#
#     tests/run.sh [--instruction-sets]    the flag adds tests/instruction_sets.sh, which builds the
#                                          program twice more: a quarter of an hour of CPU
set -uo pipefail
cd "$(dirname "$0")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

failed=()
skipped=()

part() { # part NAME COMMAND...: runs one part and remembers if it failed.
  local name=$1 begin=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then
    printf -- '-- %s: passed in %d s\n' "$name" $((SECONDS - begin))
  else
    failed+=("$name")
    printf -- '-- %s: FAILED\n' "$name"
  fi
}

python_environment() { # A Python environment with the readers that users have.
  local env=target/python
  [ -x "$env/bin/python" ] || python3 -m venv "$env" || return 1
  "$env/bin/python" -c 'import polars, duckdb, pandas, pyarrow' 2>/dev/null ||
    "$env/bin/pip" install --quiet -r tests/python/requirements.txt
}

system_package() { # system_package PROGRAM [PACKAGE]: installs the Debian package with it if it may.
  local package=${2:-$1}
  command -v "$1" >/dev/null && return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  { apt-get install -y -qq "$package" || { apt-get update -qq && apt-get install -y -qq "$package"; }; } >/dev/null 2>&1
}

aarch64_check() { # The code for 64-bit ARM as far as types. Nothing is linked, so C parts need no compiler.
  CC_aarch64_unknown_linux_gnu=true AR_aarch64_unknown_linux_gnu=true \
    cargo check --quiet --locked --target aarch64-unknown-linux-gnu --lib --bins
}

may_mount() { # Whether this process may mount a tmpfs, tried as the tests of full disks try it.
  local at
  at=$(mktemp -d) || return 1
  mount -t tmpfs -o size=1m tmpfs "$at" >/dev/null 2>&1 && umount "$at"
  local mounted=$?
  rmdir "$at"
  return $mounted
}

part "formatting" cargo fmt --check
# All of it with TLS, and without any feature what of it others build.
part "lints" cargo clippy --quiet --all-targets --features tls --locked -- -D warnings
part "lints without features" cargo clippy --quiet --lib --bins --no-default-features --locked -- -D warnings
if rustup target list --installed 2>/dev/null | grep -qx aarch64-unknown-linux-gnu; then
  part "aarch64" aarch64_check
else
  skipped+=("aarch64 (rustup target add aarch64-unknown-linux-gnu)")
fi
system_package ip iproute2 || skipped+=("a network that is cut (iproute2 is not installed)")
system_package openssl || skipped+=("the mesh over TLS (openssl is not installed)")
part "tests" cargo test --locked --no-fail-fast --features tls --lib --bins --tests
part "documentation and README" cargo test --locked --doc

if [ ! -d "${PINGRAPH_DATASETS:-../shared/datasets}/gowalla" ]; then
  skipped+=("oracles on the Gowalla check-ins (set PINGRAPH_DATASETS to the folder that holds gowalla/train.txt)")
fi

if ! may_mount; then
  skipped+=("full and read-only disks (this process may not mount a tmpfs)")
fi

if command -v python3 >/dev/null && python_environment; then
  part "readers: Polars, DuckDB, pandas" target/python/bin/python tests/python/read_features.py
else
  skipped+=("readers: Polars, DuckDB, pandas (no Python environment)")
fi

if system_package valgrind; then
  part "instruction counts of the kernels" cargo bench --quiet --locked --bench instructions -- check
else
  skipped+=("instruction counts of the kernels (valgrind is not installed)")
fi

if [ "${1:-}" = --instruction-sets ]; then
  part "same bytes on every instruction set" tests/instruction_sets.sh
else
  skipped+=("same bytes on every instruction set (tests/run.sh --instruction-sets)")
fi

if cargo deny --version >/dev/null 2>&1; then
  part "licences and advisories" cargo deny --offline check licenses bans sources
else
  skipped+=("licences and advisories (cargo deny is not installed)")
fi

printf '\n'
for name in ${skipped[@]+"${skipped[@]}"}; do printf 'SKIPPED: %s\n' "$name"; done
for name in ${failed[@]+"${failed[@]}"}; do printf 'FAILED: %s\n' "$name"; done
[ ${#failed[@]} -eq 0 ] || exit 1
printf 'All parts passed, %d skipped.\n' ${#skipped[@]}
