#!/usr/bin/env bash
# Are tonight's predictions there? `prediction-assets health` for cron jobs and monitors.
# Usage: check_morning_run.sh [MINUTES] [verbose]     exits 0 green, 1 yellow, 2 red or cannot tell
set -u

usage() {
  echo "error: $1; usage: check_morning_run.sh [MINUTES] [verbose]" >&2
  exit 2
}

arguments=()
case "${1-}" in
  '') ;;
  verbose) arguments+=(--verbose) ;;
  *) arguments+=(--minutes "$1") ;;
esac
case "${2-}" in
  '') ;;
  verbose) [ "${1-}" = verbose ] || arguments+=(--verbose) ;;
  *) usage "'$2' is not verbose" ;;
esac
[ "$#" -le 2 ] || usage "more than two arguments"

# A checkout's own environment first, then whatever is installed.
checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
if [ -x "$checkout/.venv/bin/prediction-assets" ]; then
  command="$checkout/.venv/bin/prediction-assets"
elif command="$(type -P prediction-assets)"; then
  :
else
  echo "error: prediction-assets is not installed: run 'make run' in $checkout, or put it on the PATH" >&2
  exit 2
fi
exec "$command" health ${arguments[@]+"${arguments[@]}"}
