// The promise: the Job of Kubernetes is one by its schema, and what it and the array of Slurm run makes the file of one run.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { classIndices, normals } from '../support/data.js';
import { loadLibrary } from '../support/example-libraries.js';
import { requireFromRoot, root } from '../support/root.js';
import { dictionary, directory, env, INPUTS, inDirectory, score, writeNpy } from '../support/score.js';

const [ROWS, CLASSES, SHARDS] = [5_000, 11, 8];
const folder = path.join(root, 'examples', 'cluster');
const { version } = requireFromRoot('./package.json') as { version: string };
const inputs = [...INPUTS, '--out', 'losses.npy'];

/** Runs a command as a machine does that finds the package by npx. */
function run(command: string, args: readonly string[], variables: NodeJS.ProcessEnv = {}) {
  const smoothloss = path.join(root, 'bin', 'smoothloss.mjs');
  const npx = `#!/bin/sh\n[ "$1 $2" = "--yes smoothloss@${version}" ] && shift 2 && exec "${process.execPath}" "${smoothloss}" "$@"\n`;
  writeFileSync(inDirectory('npx'), npx, { mode: 0o755 });
  const { stdout, stderr, status } = spawnSync(command, args, {
    cwd: directory,
    env: { ...env, ...variables, PATH: `${directory}:${env.PATH}` },
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout;
}

/** Scores by shards and merge, in that order, and compares with one run. */
function expectOneRun(shard: (index: number) => string, merge: () => string) {
  writeNpy('logits.npy', dictionary('<f4', [ROWS, CLASSES]), normals(ROWS * CLASSES, 1, 3));
  writeNpy('targets.npy', dictionary('<i4', [ROWS]), classIndices(ROWS, CLASSES, 2));
  for (let index = 0; index < SHARDS; index++) {
    expect(shard(index)).toMatch(new RegExp(`^shard +${index}/${SHARDS}: rows`));
  }
  const numbers = (text: string) => text.replace(/^(speed|memory).*\n/gm, '');
  expect(numbers(merge())).toBe(numbers(score('--out', 'single.npy').stdout));
  expect(readFileSync(inDirectory('losses.npy')).equals(readFileSync(inDirectory('single.npy')))).toBe(true);
}

describe('examples/cluster/kubernetes.yaml', () => {
  // biome-ignore lint/suspicious/noExplicitAny: the root has no types of it, as it does not depend on it
  type Any = any;
  let Job: Any;
  let jobs: Any[];
  beforeAll(async () => {
    const { parseAllDocuments } = await loadLibrary('yaml');
    ({ Job } = await loadLibrary('kubernetes-models/batch/v1'));
    const text = readFileSync(path.join(folder, 'kubernetes.yaml'), 'utf8');
    jobs = parseAllDocuments(text).map((document: Any) => {
      expect(document.errors).toEqual([]);
      return document.toJS();
    });
  });

  it('has two jobs by the schema of Kubernetes', () => {
    expect(jobs.map(({ metadata }) => metadata.name)).toEqual(['score-shards', 'score-merge']);
    for (const job of jobs) new Job(job).validate();
    const wrong = structuredClone(jobs[0]);
    wrong.spec.completions = 'eight';
    expect(() => new Job(wrong).validate()).toThrow(/completions/);
  });

  it('has an index for each shard', () => {
    const [{ spec }] = jobs;
    expect([spec.completionMode, spec.completions, spec.parallelism]).toEqual(['Indexed', SHARDS, SHARDS]);
    expect(spec.template.spec.restartPolicy).toBe('Never'); // backoffLimitPerIndex wants it
  });

  it('runs what makes the file of one run', () => {
    const [shards, merge] = jobs.map(({ spec }) => spec.template.spec.containers[0]);
    const start = ({ command: [program, ...options], args }: Any, variables?: NodeJS.ProcessEnv) =>
      run(program, [...options, ...args], variables);
    expectOneRun(
      (index) => start(shards, { JOB_COMPLETION_INDEX: `${index}` }),
      () => start(merge),
    );
  });
});

describe('examples/cluster/slurm.sh', () => {
  const script = path.join(folder, 'slurm.sh');

  it('has an index for each shard', () => {
    expect(readFileSync(script, 'utf8')).toContain(`#SBATCH --array=0-${SHARDS - 1}\n`);
  });

  it('runs what makes the file of one run', () => {
    expectOneRun(
      (index) =>
        run('bash', [script, ...inputs], { SLURM_ARRAY_TASK_ID: `${index}`, SLURM_CPUS_PER_TASK: '1' }),
      () => run('bash', [script, '--merge', ...inputs], { SLURM_ARRAY_TASK_ID: '0' }),
    );
  });
});
