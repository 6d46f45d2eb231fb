#!/bin/sh
# Run the shards and then the gate in the current namespace, and exit with 0 if the gate passed: ./run.sh NAME
# NAME becomes part of Kubernetes names: use lowercase letters, digits and dashes. The same NAME continues the same run.
set -eu
here=$(dirname "$0")
run=${1:?the name of this run, such as a build number}

start() { # JOB: delete and create it, because a Job cannot be changed
  kubectl delete --ignore-not-found "job/evalwire-$1-run-$run"
  sed "s/run-1/run-$run/" "$here/$1.yaml" | kubectl create --filename -
}

outcome() { # JOB: print Complete or Failed after its pods have ended
  while :; do
    conditions=$(kubectl get "job/evalwire-$1-run-$run" --output 'jsonpath={.status.conditions[?(@.status=="True")].type}')
    for condition in $conditions; do
      case $condition in Complete | Failed) echo "$condition" && return ;; esac
    done
    sleep 5
  done
}

start shards
shards=$(outcome shards)
echo "shards: $shards"
start gate
verdict=$(outcome gate)
kubectl logs "job/evalwire-gate-run-$run"
[ "$verdict" = Complete ]
