# shellcheck shell=bash
# Send messages and step outputs to the runner.

error() { _message error "$1"; }
warning() { _message warning "$1"; }
notice() { _message notice "$1"; }

# Set a step output on a single line, because each line of the file is an output. The last value of a name counts.
output() { printf '%s=%s\n' "$1" "${2//[[:cntrl:]]/ }" >>"$GITHUB_OUTPUT"; }

# Print how evalwire ended, for a job without a report.
ended() {
  if [[ -n $EXIT_CODE ]]; then
    printf 'ended with exit code %s' "$EXIT_CODE"
  else
    printf 'did not finish'
  fi
}

# Print the summary of a job without a report.
bare_summary() { printf '## evalwire: %s\n\nNo report was written. See the log of the job.\n' "$(ended)"; }

_message() {
  local text=$2
  text=${text//'%'/%25}
  text=${text//$'\r'/%0D}
  text=${text//$'\n'/%0A}
  printf '::%s title=evalwire::%s\n' "$1" "$text"
}
