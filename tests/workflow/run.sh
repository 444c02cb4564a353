#!/usr/bin/env bash
# The workflows under their own linter; Node 20 or newer. It cannot say whether a runner has what a step wants.
set -euo pipefail
cd "$(dirname "$0")"
npm ci --no-audit --no-fund --silent --ignore-scripts
node lint.mjs
