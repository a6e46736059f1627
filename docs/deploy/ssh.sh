#!/usr/bin/env bash
# Runs a job on the hosts of a file, one process each, over ssh, and waits for all of them.
#
#     docs/deploy/ssh.sh hosts.txt secret.txt job.toml [FLAGS OF pingraph run...]
#
# hosts.txt has one host[:port] a line. pingraph, the job file, its input and its output must be at the
# same paths on all hosts; hosts.txt and the secret are copied there. Make a secret once:
#
#     (umask 077; head -c 32 /dev/urandom | base64 > secret.txt)
#
# SSH and SCP may be other commands, for example SSH="ssh -i key".
set -euo pipefail
hosts=$1 secret=$2 job=$3
shift 3
folder=.pingraph-$(date +%s)-$$
ssh=${SSH:-ssh} scp=${SCP:-scp}

pids=()
stop() { # Whatever ends this script ends the processes: ssh -tt hangs up on them.
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
}
trap stop EXIT

mapfile -t lines < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$hosts")
for index in "${!lines[@]}"; do
  host=${lines[$index]%:*}
  $ssh "$host" "mkdir -p -m 700 $folder"
  $scp -q "$hosts" "$host:$folder/hosts.txt"
  $scp -q "$secret" "$host:$folder/secret.txt"
  command="chmod 600 $folder/secret.txt; pingraph run $(printf '%q' "$job") --hosts $folder/hosts.txt"
  command+=" --process $index --secret-file $folder/secret.txt $(printf '%q ' "$@")"
  $ssh -tt "$host" "$command; code=\$?; rm -r $folder; exit \$code" </dev/null &
  pids+=($!)
done

code=0
for pid in "${pids[@]}"; do
  wait "$pid" || { ended=$?; [ $code -ne 0 ] || code=$ended; }
done
exit $code
