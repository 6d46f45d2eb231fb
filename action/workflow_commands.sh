# shellcheck shell=bash
# Messages of the action, as the runner reads them from a step's output.

error() { _message error "$1"; }
warning() { _message warning "$1"; }
notice() { _message notice "$1"; }

_message() {
  local text=$2
  text=${text//'%'/%25}
  text=${text//$'\r'/%0D}
  text=${text//$'\n'/%0A}
  printf '::%s title=evalwire::%s\n' "$1" "$text"
}
