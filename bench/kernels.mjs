/** Runs bench/native (octoformer_bench): the machine's limits, and what the kernels reach beside them. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const places = ['build/bench/native', 'build/Release', 'build/bench/native/Release'];

function executable(root) {
  const name = process.platform === 'win32' ? 'octoformer_bench.exe' : 'octoformer_bench';
  const found = places.map((place) => path.join(root, place, name)).find(existsSync);
  if (!found) throw new Error(`${name} was built, but lies in none of ${places.join(', ')}`);
  return found;
}

/**
 * One JSON object a line of output.
 * @param {string} root of the repository
 * @param {{ threads: number, only: 'peaks' | 'memory' | 'prefill' | 'decode' | 'int8' | 'product', seconds?: number, isa?: string }} options
 *   `seconds` of each line
 * @returns {Record<string, unknown>[]}
 */
export function measureKernels(root, { threads, only, seconds = 1, isa }) {
  const { status, stdout, stderr } = spawnSync(
    executable(root),
    ['--threads', String(threads), '--seconds', String(seconds), '--only', only],
    {
      encoding: 'utf8',
      env: { ...process.env, ...(isa ? { OCTOFORMER_ISA: isa } : {}) },
    },
  );
  if (status !== 0) throw new Error(`octoformer_bench failed: ${stderr}`);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
