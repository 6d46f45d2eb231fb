#!/usr/bin/env bash
# Writes the summary as the pull request's comment, by the Python of evalwire's image. Where it cannot be written, the job
# is not red for it.
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
  warning "The pull request's comment is not written: there is no image to write it with."
  exit 0
fi

# A mount of a file, to be read; the quotes are for commas in its path.
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
  warning "The pull request's comment could not be written; the log above says why."
