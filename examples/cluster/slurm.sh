#!/bin/bash
# smoothloss score on Slurm: an array with one task for each shard, and a job that merges them when all have succeeded.
#
#     shards=$(sbatch --parsable slurm.sh --logits logits.npy --targets targets.npy --out losses.npy)
#     sbatch --dependency="afterok:$shards" --array=0 slurm.sh --merge --logits logits.npy --targets targets.npy --out losses.npy
#
# A task that failed continues with sbatch --array=3 slurm.sh …; so SLURM_ARRAY_TASK_COUNT does not say how many there are.
#SBATCH --job-name=smoothloss-score
#SBATCH --array=0-7
#SBATCH --cpus-per-task=1
#SBATCH --mem=512M
#SBATCH --requeue

set -euo pipefail

readonly shards=8 # one more than the last index of the array

export SMOOTHLOSS_THREADS=${SLURM_CPUS_PER_TASK:-1}
if [[ ${1-} == --merge ]]; then
  shift
  exec npx --yes smoothloss@0.1.0 score --merge "$shards" --no-progress "$@"
fi
exec npx --yes smoothloss@0.1.0 score --shard "$SLURM_ARRAY_TASK_ID/$shards" --no-progress "$@"
