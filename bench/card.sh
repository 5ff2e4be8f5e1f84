#!/usr/bin/env bash
# Everything that a CUDA card has to show, in under four minutes: bash bench/card.sh [FOLDER for results]
#
# Needs Python with torch's CUDA build, numpy, pydantic, regex, safetensors, matplotlib and pytest; a C++ compiler for
# the CPU's kernel beside it. Nothing is downloaded.
set -uo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/card}
mkdir -p "$out"
failed=0
step() {  # step SECONDS NAME COMMAND...
  local limit=$1 name=$2
  shift 2
  echo "== $name"
  timeout "$limit" "$@" 2>&1 | tee "$out/$name.txt" | tail -40
  local status=${PIPESTATUS[0]}
  if [ "$status" != 0 ]; then echo "== $name: status $status"; failed=1; fi
}
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | tee "$out/card.txt"
step 60 build python setup.py -q build_ext --inplace
step 60 tests python -m pytest -m cuda tests/models/runtime -p no:randomly
if command -v compute-sanitizer >/dev/null; then
  step 60 sanitizer compute-sanitizer --tool memcheck --report-api-errors no --error-exitcode 9 python -m bench.try_card
else
  echo "compute-sanitizer is not at hand: not run"
fi
step 150 figures python -m bench card --rounds 3
cp -f docs/performance/results.json "$out/" 2>/dev/null
exit $failed
