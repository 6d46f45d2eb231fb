#!/usr/bin/env bash
# Publish the outputs of the action, the job summary, and annotations on changed files.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=workflow_commands.sh
. "$(dirname "$0")/workflow_commands.sh"

readonly MOST_SUMMARY_BYTES=1000000 # the runner rejects more than 1 MiB
readonly MOST_ANNOTATIONS=50        # GitHub shows fewer
readonly GRACE_SECONDS=60

# Print the value of an output, or nothing. User code could have written this file, too, so read only the first line of a
# known name.
said() {
  [[ -z $FILES || ! -f $FILES/outputs ]] || sed -n "s/^$1=//p" "$FILES/outputs" | head -n 1
}

# Print the path of a report, if it is a file in the report directory.
report() {
  local path
  path=$(cd -- "$GITHUB_WORKSPACE" && realpath -e -- "$(said "$1")" 2>/dev/null) || return 0
  [[ $path == "$(realpath -- "$REPORT_DIR")"/* && -f $path && $path != *[[:cntrl:]]* ]] || return 0
  printf '%s' "$path"
}

publish_outputs() {
  local outcome passed name
  outcome=$(said outcome)
  passed=$(said passed)
  if [[ -z $outcome || ($outcome == passed && $EXIT_CODE != 0) ]]; then
    outcome=error
  fi
  if [[ $outcome != passed || $passed != true ]]; then
    passed=false
  fi
  output outcome "$outcome"
  output passed "$passed"
  for name in results-json junit-xml summary; do
    output "$name" "$(report "$name")"
  done
  for name in experiment-urls failed-count; do
    output "$name" "$(said "$name")"
  done
}

publish_summary() {
  local summary
  summary=$(report summary)
  if [[ -n $summary ]]; then
    head -c "$MOST_SUMMARY_BYTES" -- "$summary"
    printf '\n'
  elif [[ $EXIT_CODE != 0 ]]; then # other commands have no report
    bare_summary
  fi >>"$GITHUB_STEP_SUMMARY"
}

publish_annotations() {
  if [[ -n $FILES && -f $FILES/annotations ]]; then
    LC_ALL=C grep -aE '^::(error|warning|notice)( [^[:cntrl:]]*)?::[^[:cntrl:]]*$' "$FILES/annotations" |
      head -n "$MOST_ANNOTATIONS" || true
  elif [[ $EXIT_CODE != 0 ]]; then
    error "evalwire $(ended), without a report."
  fi
}

# The runner stops a canceled step after ten seconds. A container with a longer grace period can run longer.
if [[ -z $EXIT_CODE && -n $CONTAINER ]]; then
  timeout "$GRACE_SECONDS" docker wait "$CONTAINER" >/dev/null 2>&1 ||
    docker stop --time 10 "$CONTAINER" >/dev/null 2>&1 || true
fi
publish_outputs
publish_summary
publish_annotations
