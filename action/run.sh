#!/usr/bin/env bash
# Run evalwire in a container on the workspace of the job. This script succeeds even if evalwire fails. Its output is the
# exit code, which the last step of the action returns after the reports are published.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=workflow_commands.sh
. "$(dirname "$0")/workflow_commands.sh"

# Variables of the job that evalwire reads. `docker run -e NAME` ignores unset variables.
readonly GITHUB_VARIABLES=(
  GITHUB_ACTIONS GITHUB_SHA GITHUB_REF GITHUB_REF_NAME GITHUB_HEAD_REF GITHUB_BASE_REF GITHUB_SERVER_URL
  GITHUB_REPOSITORY GITHUB_RUN_ID GITHUB_RUN_ATTEMPT GITHUB_JOB GITHUB_WORKFLOW
)
readonly PHOENIX_VARIABLES=(
  PHOENIX_ENDPOINT PHOENIX_COLLECTOR_ENDPOINT PHOENIX_BASE_URL PHOENIX_HOST PHOENIX_PORT OTEL_EXPORTER_OTLP_ENDPOINT
  PHOENIX_API_KEY PHOENIX_API_KEY_FILE PHOENIX_CLIENT_HEADERS
)

end_with() {
  output exit-code "$1"
  exit 0
}

refuse() {
  error "$*"
  end_with 2
}

# Print the non-empty lines of a text without surrounding spaces.
lines() { sed -E 's/^[[:space:]]+//; s/[[:space:]]+$//; /^$/d' <<<"$1"; }

# Print the option of a mount, quoted because paths can contain commas.
bind() { printf 'type=bind,"source=%s","target=%s"' "${1//'"'/'""'}" "${2//'"'/'""'}"; }

check_runner() {
  [[ $(uname -s) == Linux ]] || refuse "The evalwire action requires a Linux runner. This runner has $(uname -s)."
  docker version >/dev/null 2>&1 ||
    refuse "The evalwire action starts a container, but no Docker engine answers on this runner." \
      "Use a runner with Docker, and no \`container:\` for the job."
}

# Set `image`.
choose_image() {
  local name=${RELEASED_IMAGE%@*}
  case $INPUT_VERSION in
    '') image=$RELEASED_IMAGE ;;
    sha256:*) image=${name:+$name@$INPUT_VERSION} ;;
    *[/:@]*) image=$INPUT_VERSION ;;
    *) image=${name:+$name:$INPUT_VERSION} ;;
  esac
  [[ -n $image ]] ||
    refuse "This commit of the action has no released image. Use a version tag of the action," \
      "or set the input \`version\` to a full image name (name:tag)."
  [[ $image =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] ||
    refuse "The input \`version\` results in \"$image\", which is not an image name."
}

# Set `report_dir` and create it, because a directory that Docker creates belongs to root.
make_report_dir() {
  local asked=${INPUT_REPORT_DIR:-${EVALWIRE_REPORT_DIR:-test-results}} workspace path
  workspace=$(realpath -- "$GITHUB_WORKSPACE")
  [[ $asked != *[[:cntrl:]]* ]] || refuse "The name of the report directory contains a line break or another control character."
  path=$(cd -- "$workspace" && realpath -m -- "$asked")
  [[ $path == "$workspace"/* ]] ||
    refuse "The input \`report-dir\` must be a directory inside the workspace, because evalwire can write only there:" \
      "\"$asked\" is not."
  mkdir -p -- "$path" 2>/dev/null || refuse "Cannot create the report directory \"$asked\"."
  EVALWIRE_REPORT_DIR=$(realpath --relative-to "$workspace" -- "$path")
  report_dir=$GITHUB_WORKSPACE/$EVALWIRE_REPORT_DIR
  export EVALWIRE_REPORT_DIR
}

# Export a variable for the container, unless its value is empty.
setting() {
  [[ -z $2 ]] || export "$1=$2"
}

export_settings() {
  setting PHOENIX_ENDPOINT "$INPUT_PHOENIX_ENDPOINT"
  setting PHOENIX_API_KEY "$INPUT_PHOENIX_API_KEY"
  setting EVALWIRE_EXPERIMENTS "$INPUT_EXPERIMENTS"
  setting EVALWIRE_NAMES "$(lines "$INPUT_NAMES" | paste -sd,)"
  setting EVALWIRE_SYNC "$INPUT_UPLOAD"
  setting EVALWIRE_REQUIREMENTS "$INPUT_REQUIREMENTS"
  setting EVALWIRE_TASK_CONCURRENCY "$INPUT_TASK_CONCURRENCY"
  setting EVALWIRE_MAX_COST_USD "$INPUT_MAX_COST"
  setting EVALWIRE_REPETITIONS "$INPUT_REPETITIONS"
  setting EVALWIRE_GATE "$(lines "$INPUT_GATE" | paste -sd';')"
  setting EVALWIRE_BASELINE "$INPUT_BASELINE"
  setting EVALWIRE_SHARD "$(shard)"
  EVALWIRE_GITHUB_FILES=$files
  export EVALWIRE_GITHUB_FILES
}

shard() {
  if [[ $INPUT_SHARD == auto ]]; then
    printf '%s/%s' "$((JOB_INDEX + 1))" "$JOB_TOTAL"
  else
    printf '%s' "$INPUT_SHARD"
  fi
}

check_shard() {
  [[ $INPUT_SHARD != auto || ($JOB_INDEX =~ ^[0-9]+$ && $JOB_TOTAL =~ ^[0-9]+$) ]] ||
    refuse "The input \`shard\` is \"auto\", but the runner does not provide the position of this job in its matrix." \
      "Set the shard explicitly, for example 2/5."
}

# Add the names of all variables of the container to `variables`. Values never appear on a command line.
collect_variables() {
  local name number=0
  mapfile -t variables < <(compgen -e EVALWIRE_)
  variables+=("${GITHUB_VARIABLES[@]}" "${PHOENIX_VARIABLES[@]}")
  while read -r name; do
    number=$((number + 1))
    # do not show the line: it may contain the value of a variable
    [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] ||
      refuse "Line $number of the input \`env\` is not a variable name. Write only names, one per line." \
        "Set their values with \`env:\` of the step or the job."
    [[ -v $name ]] || warning "The input \`env\` names $name, which is not set in this job."
    variables+=("$name")
  done < <(lines "$INPUT_ENV")
}

# Set `arguments` to the command line of evalwire.
compose_arguments() {
  local further
  mapfile -t further < <(lines "$INPUT_ARGS")
  arguments=(run)
  if ((${#further[@]})) && [[ ${further[0]} != -* ]]; then
    arguments=("${further[0]}")
    further=("${further[@]:1}")
  fi
  [[ -z $INPUT_CONFIG ]] || arguments+=("--config=$INPUT_CONFIG")
  case $INPUT_DRY_RUN in
    '' | false) ;;
    true) arguments+=(--dry-run) ;;
    *) arguments+=("--dry-run=$INPUT_DRY_RUN") ;;
  esac
  arguments+=("${further[@]}")
}

# Run a program that a canceled job can stop. It runs in the background, because bash handles no signals while a program
# runs in the foreground.
attended() {
  local code
  "$@" &
  program=$!
  while true; do
    was_interrupted=false code=0
    wait "$program" || code=$?
    $was_interrupted || return "$code"
  done
}

# The runner sends SIGINT to this process only, and SIGTERM 7.5 s later. Forward only the first: a second signal would keep
# evalwire from recording finished runs.
# shellcheck disable=SC2329 # a trap calls it
stop() {
  trap '' INT TERM
  was_interrupted=true is_stopped=true
  docker kill --signal TERM "$container" >/dev/null 2>&1 || kill -TERM "$program" 2>/dev/null || true
}

pull() {
  docker image inspect "$image" >/dev/null 2>&1 && return
  local code=0
  attended docker pull --quiet "$image" || code=$?
  ! $is_stopped || end_with 143
  if ((code)); then
    error "Cannot pull the image $image. If its registry requires a login, log in in an earlier step."
    end_with 1
  fi
}

# The last line of the container may have no line break.
# shellcheck disable=SC2329 # a trap calls it
heed_commands() { printf '\n::%s::\n' "$token"; }

# The output of the container comes from user code and models. The runner ignores commands in it until the token, which
# the container does not know. Both streams are merged, so that no output follows the token.
run_container() {
  ! $is_stopped || end_with 143 # a signal outside of `attended`, for example during `docker image inspect`
  local code=0 variable options=(
    --rm --name "$container"
    --user "$(id -u):$(id -g)"
    --network host # so that `localhost` is the runner, where the job's service containers listen
    --read-only --tmpfs '/tmp:rw,exec,mode=1777' --env HOME=/tmp
    --cap-drop ALL --security-opt no-new-privileges
    --workdir "$GITHUB_WORKSPACE"
    --mount "$(bind "$GITHUB_WORKSPACE" "$GITHUB_WORKSPACE"),readonly"
    --mount "$(bind "$report_dir" "$report_dir")"
    --mount "$(bind "$files" "$files")"
  )
  for variable in "${variables[@]}"; do
    options+=(--env "$variable")
  done
  token=$(</proc/sys/kernel/random/uuid)
  trap heed_commands EXIT
  printf '::stop-commands::%s\n' "$token"
  attended docker run "${options[@]}" "$image" "${arguments[@]}" 2>&1 || code=$?
  end_with "$code"
}

image='' report_dir='' variables=() arguments=() container='' token='' program='' was_interrupted=false is_stopped=false

check_runner
choose_image
check_shard
make_report_dir
files=$(mktemp -d "$RUNNER_TEMP/evalwire.XXXXXXXXXX")
container=$(basename "$files")
export_settings
collect_variables
compose_arguments

output image "$image"
output container "$container"
output files "$files"
output report-dir "$report_dir"
output place "$EVALWIRE_REPORT_DIR ${EVALWIRE_SHARD:-}"

trap stop INT TERM
pull
run_container
