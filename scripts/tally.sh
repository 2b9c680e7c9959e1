# Sourced by the scripts that run tests: sections, counts and the last line
#
#   N passed, N failed
#
# Whatever is counted ends with such a line itself or is one check that passes or fails.
passed=0
failed=0
tally_start=$SECONDS
tally_logs=$(mktemp -d)
trap 'rm -rf "$tally_logs"' EXIT

section() {
  printf '\n== %s  (%d s so far)\n' "$1" $((SECONDS - tally_start))
}

# count PASSED FAILED
count() {
  passed=$((passed + $1))
  failed=$((failed + $2))
}

# check TITLE COMMAND...: one test.
check() {
  local title=$1
  shift
  if "$@"; then
    [ -n "${quiet:-}" ] || echo "ok: $title"
    count 1 0
  else
    echo "FAILED: $title"
    count 0 1
  fi
}

# tallied COMMAND...: as many tests as the command's own last line says; one failed test when it has
# no such line, or exits with a failure that the line hides.
tallied() {
  local log status=0 line good bad
  log=$(mktemp -p "$tally_logs")
  "$@" 2>&1 | tee "$log" || status=${PIPESTATUS[0]}
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1) || true
  if [ -z "$line" ]; then
    echo "FAILED: no summary from $*"
    count 0 1
    return
  fi
  read -r good _ bad _ <<<"$line"
  count "$good" "$bad"
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    echo "FAILED: exit status $status from $*"
    count 0 1
  fi
}

# ctests BUILD [CTEST ARGUMENT...]: the cases of the C tests and the simulator.
ctests() {
  local build=$1 log=$1/Testing/Temporary/LastTest.log good bad
  shift
  rm -f "$log"
  ctest --test-dir "$build" --output-on-failure --timeout 300 -j "$(nproc)" "$@" || true
  good=0 bad=1 # no log: ctest itself did not run
  if [ -e "$log" ]; then
    read -r good bad < <(awk -f "${BASH_SOURCE[0]%/*}/count-cases.awk" "$log")
  fi
  count "$good" "$bad"
}

# specs DIRECTORY...: busted, under lua5.4, against $MEMSHARE_BUILD. A sanitizer's runtime, named by
# $MEMSHARE_PRELOAD, is loaded into lua5.4 and what it starts, and into nothing else.
specs() {
  local log line good bad wrong
  log=$(mktemp -p "$tally_logs")
  env ${MEMSHARE_PRELOAD:+LD_PRELOAD="$MEMSHARE_PRELOAD"} lua5.4 /usr/bin/busted --ignore-lua -o plainTerminal "$@" 2>&1 | tee "$log" || true
  line=$(grep -E '^[0-9]+ success(es)? / [0-9]+ failures? / [0-9]+ errors? / [0-9]+ pending' "$log" | tail -n 1) || true
  if [ -z "$line" ]; then
    echo "FAILED: busted ended without a summary: $*"
    count 0 1
    return
  fi
  read -r good _ _ bad _ _ wrong _ <<<"$line"
  count "$good" $((bad + wrong))
}

# The very last line, and the exit status.
finish() {
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
