# shellcheck shell=bash
# Send messages and step outputs to the runner.

error() { _message error "$1"; }
warning() { _message warning "$1"; }
notice() { _message notice "$1"; }

# Set a step output on a single line, because each line of the file is an output. The last value of a name counts.
output() { printf '%s=%s\n' "$1" "${2//[[:cntrl:]]/ }" >>"$GITHUB_OUTPUT"; }

_message() {
  local text=$2
  text=${text//'%'/%25}
  text=${text//$'\r'/%0D}
  text=${text//$'\n'/%0A}
  printf '::%s title=evalwire::%s\n' "$1" "$text"
}
