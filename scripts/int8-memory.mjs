#!/usr/bin/env node
// What a GPT-2-medium-sized model (355 million parameters, random weights) takes in memory, in float32 and in int8, and what loading it takes.
// Writes 1.4 GB into a temporary folder and deletes it. `npm run setup` must have been run; peaks are measured on Linux only.
//
//   node scripts/int8-memory.mjs
//
// Exit code 1 if loading takes more than the weights, the largest tensor of the file and 10 % of the weights.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from './process.mjs';

const { nn } = createRequire(import.meta.url)(path.join(root, 'dist'));

// https://huggingface.co/openai-community/gpt2-medium, config.json
const config = {
  model_type: 'gpt2',
  architectures: ['GPT2LMHeadModel'],
  n_embd: 1024,
  n_layer: 24,
  n_head: 16,
  n_positions: 1024,
  vocab_size: 50257,
};
const largestTensor = config.vocab_size * config.n_embd * 4;

const cases = [
  ['float32', { dtype: 'float32' }],
  ['int8', { quantization: 'llm.int8' }],
  ['int8, float32 tables', { quantization: 'llm.int8', dtype: 'float32' }],
  ['int8, int8 tables', { quantization: { scheme: 'llm.int8', embeddings: true } }],
];

const folder = mkdtempSync(path.join(tmpdir(), 'octoformer-memory-'));
let failed = false;
try {
  await nn.init(config, folder, { maxBytes: 2 ** 31 });
  let float32 = 0;
  console.log('form                           bytes   of float32   peak of loading      allowed   seconds');
  for (const [name, options] of cases) {
    const child = spawnSync(
      process.execPath,
      [path.join(root, 'scripts', 'measure-loading.mjs'), folder, JSON.stringify(options)],
      { encoding: 'utf8' },
    );
    if (child.status !== 0) throw new Error(child.stderr);
    const { weights, peak, seconds } = JSON.parse(child.stdout);
    float32 ||= weights;
    const allowed = 1.1 * weights + largestTensor;
    failed ||= peak > allowed;
    console.log(
      [
        name.padEnd(25),
        String(weights).padStart(12),
        `${((100 * weights) / float32).toFixed(1)} %`.padStart(10),
        String(peak).padStart(15),
        String(Math.round(allowed)).padStart(12),
        seconds.toFixed(1).padStart(7),
      ].join('  '),
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
