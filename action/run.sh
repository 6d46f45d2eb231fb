#!/usr/bin/env bash
# Runs evalwire in a container on the job's workspace. It succeeds also where evalwire fails: the exit code is an
# output, with which the action's last step ends, when the reports are published.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=workflow_commands.sh
. "$(dirname "$0")/workflow_commands.sh"

# What evalwire reads of the job; `docker run -e NAME` leaves out what is not set.
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

# The lines of a text that are not empty, without the space around them.
lines() { sed -E 's/^[[:space:]]+//; s/[[:space:]]+$//; /^$/d' <<<"$1"; }

# A mount of a path at the same path; the quotes are for commas in it.
bind() { printf 'type=bind,"source=%s","target=%s"' "${1//'"'/'""'}" "${2//'"'/'""'}"; }

check_runner() {
  [[ $(uname -s) == Linux ]] || refuse "The evalwire action needs a runner with Linux; this one has $(uname -s)."
  docker version >/dev/null 2>&1 ||
    refuse "The evalwire action starts a container, and no Docker engine answers on this runner." \
      "Use a runner that has one, and no \`container:\` for the job."
}

# Sets `image`.
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
      "or name a whole image (name:tag) in the input \`version\`."
  [[ $image =~ ^[A-Za-z0-9][A-Za-z0-9._/:@-]*$ ]] ||
    refuse "The input \`version\` makes \"$image\", which is no image's name."
}

# Sets `report_dir`, and makes it: a folder that Docker makes belongs to root.
make_report_dir() {
  local asked=${INPUT_REPORT_DIR:-${EVALWIRE_REPORT_DIR:-test-results}} workspace path
  workspace=$(realpath -- "$GITHUB_WORKSPACE")
  [[ $asked != *[[:cntrl:]]* ]] || refuse "The name of the report folder has a line end, or another control, in it."
  path=$(cd -- "$workspace" && realpath -m -- "$asked")
  [[ $path == "$workspace"/* ]] ||
    refuse "The input \`report-dir\` has to be a folder below the workspace, which is all that evalwire may write to;" \
      "\"$asked\" is not."
  mkdir -p -- "$path" 2>/dev/null || refuse "The report folder \"$asked\" cannot be made."
  EVALWIRE_REPORT_DIR=$(realpath --relative-to "$workspace" -- "$path")
  report_dir=$GITHUB_WORKSPACE/$EVALWIRE_REPORT_DIR
  export EVALWIRE_REPORT_DIR
}

# Exports a variable for the container, unless its value is empty.
setting() {
  [[ -z $2 ]] || export "$1=$2"
}

export_settings() {
  setting PHOENIX_ENDPOINT "$INPUT_PHOENIX_ENDPOINT"
  setting PHOENIX_API_KEY "$INPUT_PHOENIX_API_KEY"
  setting EVALWIRE_EXPERIMENTS "$INPUT_EXPERIMENTS"
  setting EVALWIRE_NAMES "$(lines "$INPUT_NAMES" | paste -sd,)"
  setting EVALWIRE_REQUIREMENTS "$INPUT_REQUIREMENTS"
  setting EVALWIRE_TASK_CONCURRENCY "$INPUT_TASK_CONCURRENCY"
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
    refuse "The input \`shard\` is \"auto\", and the runner does not tell this job's place in its matrix." \
      "Write the shard as 2/5."
}

# Adds the names of all variables that the container gets to `variables`; a value is on no command line.
collect_variables() {
  local name number=0
  mapfile -t variables < <(compgen -e EVALWIRE_)
  variables+=("${GITHUB_VARIABLES[@]}" "${PHOENIX_VARIABLES[@]}")
  while read -r name; do
    number=$((number + 1))
    # the line itself is not shown: it may be a variable with its value
    [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] ||
      refuse "Line $number of the input \`env\` is no variable's name. Write names only, one a line;" \
        "the values go into the \`env:\` of the step or the job."
    [[ -v $name ]] || warning "The input \`env\` names $name, which is not set in this job."
    variables+=("$name")
  done < <(lines "$INPUT_ENV")
}

# Sets `arguments`: the command line of evalwire.
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

# Runs a program that a cancelled job can stop. It is in the background, since bash handles no signal before a program
# in the foreground has ended.
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

# The runner signals this process only, by SIGINT, and by SIGTERM 7.5 s later. The container is told once: a second
# signal would keep evalwire from recording what is finished.
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
    error "The image $image could not be pulled. Where its registry wants a login, log in in a step before this one."
    end_with 1
  fi
}

# The end of the container's last line may be missing.
# shellcheck disable=SC2329 # a trap calls it
heed_commands() { printf '\n::%s::\n' "$token"; }

# What the container prints is the users' and their models': no command in it is heeded until the token is said, which
# the container does not know. Both of its streams go one way, so that none of it comes after the token.
run_container() {
  ! $is_stopped || end_with 143 # while nobody attended, such as during `docker image inspect`
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
