#!/bin/sh
# Run other commands unchanged (`sh -c ...`, `cat`): CI systems start containers with them.
set -eu
case "${1:-}" in
'')
  [ $# -eq 0 ] || shift
  set -- evalwire run "$@"
  ;;
-* | baseline | check | comment | compare | export | gate | init | judge | label | list | local | new | noise | plan | plan-size | report | resume | run | runs | score | serve | upload | validate) set -- evalwire "$@" ;;
esac
[ -z "${EVALWIRE_REQUIREMENTS:-}" ] || [ "${1:-}" != evalwire ] || set -- python /app/overlay.py "$@"
exec "$@"
