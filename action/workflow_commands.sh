# shellcheck shell=bash
# What the action tells the runner: messages in a step's output, and the outputs of the step.

error() { _message error "$1"; }
warning() { _message warning "$1"; }
notice() { _message notice "$1"; }

# An output of the step, on one line: each line of the file is an output, and the last one of a name counts.
output() { printf '%s=%s\n' "$1" "${2//[[:cntrl:]]/ }" >>"$GITHUB_OUTPUT"; }

_message() {
  local text=$2
  text=${text//'%'/%25}
  text=${text//$'\r'/%0D}
  text=${text//$'\n'/%0A}
  printf '::%s title=evalwire::%s\n' "$1" "$text"
}
