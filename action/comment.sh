#!/usr/bin/env bash
# Write the summary as a comment on the pull request, with `evalwire comment` in a container that runs no user code. A
# failure to write it does not fail the job.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=workflow_commands.sh
. "$(dirname "$0")/workflow_commands.sh"

case $INPUT_COMMENT in
  '' | false) exit 0 ;;
  true) key="$GITHUB_WORKFLOW $GITHUB_JOB $PLACE" ;;
  *) key=$INPUT_COMMENT ;;
esac

if [[ -z $IMAGE ]]; then
  warning "Cannot write the comment on the pull request: there is no image to run."
  exit 0
fi

# Print the option of a read-only mount of a file, quoted because paths can contain commas.
file() { printf 'type=bind,"source=%s",target=%s,readonly' "${1//'"'/'""'}" "$2"; }

if [[ -z $SUMMARY ]]; then
  SUMMARY=$(mktemp "$RUNNER_TEMP/evalwire.XXXXXXXXXX")
  bare_summary >"$SUMMARY"
fi

options=(
  --rm --entrypoint python3
  --user "$(id -u):$(id -g)"
  --network host
  --read-only --cap-drop ALL --security-opt no-new-privileges
  --workdir / # not a directory of the image with settings
  --mount "$(file "$GITHUB_EVENT_PATH" /event.json)"
  --mount "$(file "$SUMMARY" /summary.md)"
  --env GITHUB_EVENT_PATH=/event.json
)
for name in GITHUB_ACTIONS GITHUB_ACTOR GITHUB_API_URL GITHUB_REF GITHUB_REPOSITORY GITHUB_RUN_ID GITHUB_SERVER_URL GITHUB_TOKEN; do
  options+=(--env "$name")
done
code=0
docker run "${options[@]}" "$IMAGE" -I -m evalwire comment "--key=$key" /summary.md || code=$?
case $code in
  0 | 1) ;; # evalwire showed the reason
  *) warning "Cannot write the comment on the pull request. See the log above." ;;
esac
