#!/usr/bin/env bash
# Post the summary as a comment on the pull request, with Python from the evalwire image. A failure to post it does not
# fail the job.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=workflow_commands.sh
. "$(dirname "$0")/workflow_commands.sh"

case $INPUT_COMMENT in
  '' | false) exit 0 ;;
  true) COMMENT_KEY="$GITHUB_WORKFLOW $GITHUB_JOB $PLACE" ;;
  *) COMMENT_KEY=$INPUT_COMMENT ;;
esac
export COMMENT_KEY

if [[ -z $IMAGE ]]; then
  warning "Cannot write the comment on the pull request: there is no image to run."
  exit 0
fi

# Print the option of a read-only mount of a file, quoted because paths can contain commas.
file() { printf 'type=bind,"source=%s",target=%s,readonly' "${1//'"'/'""'}" "$2"; }

options=(
  --rm --entrypoint python3
  --user "$(id -u):$(id -g)"
  --network host
  --read-only --cap-drop ALL --security-opt no-new-privileges
  --mount "$(file "$(cd "$(dirname "$0")" && pwd)/comment.py" /comment.py)"
  --mount "$(file "$GITHUB_EVENT_PATH" /event.json)"
)
if [[ -n $SUMMARY ]]; then
  options+=(--mount "$(file "$SUMMARY" /summary.md)")
fi
for name in GITHUB_TOKEN GITHUB_API_URL GITHUB_SERVER_URL GITHUB_REPOSITORY GITHUB_RUN_ID COMMENT_KEY EXIT_CODE; do
  options+=(--env "$name")
done
docker run "${options[@]}" "$IMAGE" -I /comment.py ||
  warning "Cannot write the comment on the pull request. See the log above."
