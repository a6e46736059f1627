#!/usr/bin/env bash
# A Slurm job of eight processes, one a node: sbatch docs/deploy/slurm.sh job.toml
#SBATCH --job-name=pingraph
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --requeue
set -euo pipefail
umask 077

# Slurm gives each task its index (SLURM_PROCID), which pingraph reads. The hosts, in order of index:
export PINGRAPH_HOSTS
PINGRAPH_HOSTS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | paste -sd,)
# One secret a job; srun hands the environment to the tasks.
export PINGRAPH_SECRET
PINGRAPH_SECRET=$(head -c 32 /dev/urandom | base64 -w0)
# A job that Slurm starts again is a new attempt: processes of the old one can no longer join.
export PINGRAPH_EPOCH=${SLURM_RESTART_COUNT:-0}

srun --kill-on-bad-exit=1 pingraph run "$1" --workers "$SLURM_CPUS_PER_TASK" --resume
