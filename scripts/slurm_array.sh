#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs one evaluation as a Slurm job array, submits again what failed, and merges:
#   scripts/slurm_array.sh CONFIG OUT SHARDS [EVAL OPTIONS...] [-- SBATCH OPTIONS...]
#   e.g.  scripts/slurm_array.sh configs/studies/recall_color.yaml runs/rc 16 --set seed=1 -- --cpus-per-task=4 --time=4:00:00
# OUT must be on a file system that all nodes share; the shards are in OUT/shards, the whole run in OUT.
# An element that was killed goes on where it was. Stopped itself (Ctrl-C), what it submitted runs on, and
# the same command waits for that and goes on.
# Environment: KVLA (the program), TRIES (submissions of one shard, 3).
# Exit status: 0 done, 1 some episodes ended in error, 2 bad input, 3 some shards never ended.
set -uo pipefail
if (($# < 3)); then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
here="$(cd "$(dirname "$0")/.." && pwd)"
program="${KVLA:-$here/build/release/kvla}"
config="$(realpath -- "$1")"
out="$(realpath -m -- "$2")"
shards="$3"
shift 3
if ! [[ "$shards" =~ ^[1-9][0-9]*$ ]]; then
  echo "slurm_array.sh: '$shards' is no number of shards" >&2
  exit 2
fi
command -v sbatch >/dev/null || { echo "slurm_array.sh: there is no sbatch here" >&2; exit 2; }
[[ -x "$program" ]] || { echo "slurm_array.sh: $program is not built (scripts/build.sh)" >&2; exit 2; }
eval_options=()
while (($#)) && [[ "$1" != -- ]]; do
  eval_options+=("$1")
  shift
done
(($#)) && shift
sbatch_options=("$@")

# What is wrong with the config is said here, once, and not in every element's log: shards of other
# settings, or of another number of them, included.
"$program" eval "$config" --out "$out" "${eval_options[@]}" --check || exit $?
for folder in "$out"/shards/*/; do
  [[ -f "$folder/run.db" ]] || continue
  "$program" eval "$config" --out "$folder" --shard "$(basename "$folder")/$shards" \
    "${eval_options[@]}" --check || exit $?
  break
done
mkdir -p "$out/shards" || exit 2

# The job of one element. Its exit status goes into a file: none is left by one that was killed.
job="$out/shards/job.sh"
{
  echo '#!/usr/bin/env bash'
  printf 'i="$SLURM_ARRAY_TASK_ID"\nfolder=%q/"$i"\n' "$out/shards"
  printf '%q eval %q --out "$folder" --shard "$i"/%q --workers "${SLURM_CPUS_PER_TASK:-1}"' \
    "$program" "$config" "$shards"
  ((${#eval_options[@]})) && printf ' %q' "${eval_options[@]}"
  printf '\nstatus=$?\necho "$status" >"$folder.status.tmp" && mv "$folder.status.tmp" "$folder.status"\n'
  printf '((status <= 1))\n'
} >"$job"

# Shards that have not ended, as "1,4,7".
open_shards() {
  local list=() i
  for ((i = 1; i <= shards; ++i)); do
    [[ "$(cat "$out/shards/$i.status" 2>/dev/null)" =~ ^[01]$ ]] || list+=("$i")
  done
  (IFS=,; echo "${list[*]-}")
}

# Elements of an earlier call of this script that was stopped run on: two in one folder would refuse
# each other.
name="kvla-$(printf %s "$out" | cksum | cut -d ' ' -f 1)"
running="$(squeue -h -n "$name" -o %i)"
[[ -z "$running" ]] || echo "waiting for an earlier submission to end (scancel -n $name stops it)" >&2
while [[ -n "$running" ]]; do
  sleep 2
  running="$(squeue -h -n "$name" -o %i)"
done

for ((try = 1; try <= ${TRIES:-3}; ++try)); do
  todo="$(open_shards)"
  [[ -n "$todo" ]] || break
  rm -f "$out"/shards/*.status.tmp
  for i in ${todo//,/ }; do rm -f "$out/shards/$i.status"; done
  echo "submission $try: shards $todo of $shards" >&2
  submitted="$(sbatch --parsable --wait --array="$todo" --requeue --job-name="$name" \
    --output="$out/shards/%a.log" --open-mode=append "${sbatch_options[@]}" "$job" | tee /dev/stderr)"
  [[ -n "$submitted" ]] || { echo "slurm_array.sh: Slurm did not take the job" >&2; exit 2; }
  # An element that refuses its input will refuse it again.
  for i in ${todo//,/ }; do
    if [[ "$(cat "$out/shards/$i.status" 2>/dev/null)" == 2 ]]; then
      echo "slurm_array.sh: shard $i refused its input:" >&2
      tail -n 5 "$out/shards/$i.log" >&2
      exit 2
    fi
  done
done

todo="$(open_shards)"
runs=()
for ((i = 1; i <= shards; ++i)); do
  [[ -f "$out/shards/$i/run.db" ]] && runs+=("$out/shards/$i")
done
"$program" merge "$out" "${runs[@]}"
status=$?
if [[ -n "$todo" ]]; then
  echo "slurm_array.sh: shards $todo never ended; their logs are in $out/shards" >&2
  exit 3
fi
exit "$status"
