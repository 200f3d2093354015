#!/bin/sh
# Checks and times the kernels on a machine with a CUDA GPU, from generated/ alone: it needs torch, triton, numpy and pytest, and takes
# less than 8 minutes. Writes benchmarks/results/gpu.json. Fails if a check does, and then times nothing.
set -e
cd "$(dirname "$0")/.."
export PYTHONPATH="$PWD/generated" PYTHONUNBUFFERED=1 TRITON_INTERPRET=0
python3 -m pytest -q -p no:cacheprovider -c /dev/null --rootdir . benchmarks/gpu_checks.py
python3 benchmarks/gpu.py
