/**
 * node bench/token_cost.mjs [MODEL]: what a step of a generation costs on the main thread, in microseconds: the time that its event
 * loop is busy (JavaScript, and the addon's work there) between and around the runs of the model, which compute elsewhere. A tiny
 * model shows it best, and it hardly depends on the model: by default a fixture of the tests.
 */
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { AutoModelForCausalLM } from '../dist/index.js';
import { median } from './statistics.mjs';

const source = process.argv[2] ?? fileURLToPath(new URL('../test/fixtures/models/llama', import.meta.url));
const rounds = 30;
/** Their difference leaves out what a generation costs once. */
const [fewTokens, manyTokens] = [16, 112];

const model = await AutoModelForCausalLM.from_pretrained(source, { threads: 1 });

/** Microseconds that a generation takes, and those of them in which the event loop is busy. */
async function generate(batch, do_sample, max_new_tokens) {
  const prompts = Array.from({ length: batch }, (_, i) => [1 + (i % 5), 2, 3, 4]);
  const begun = performance.now();
  const before = performance.eventLoopUtilization();
  await model.generate({ input_ids: prompts }, { max_new_tokens, do_sample, eos_token_id: null });
  return { busy: 1000 * performance.eventLoopUtilization(before).active, whole: 1000 * (performance.now() - begun) };
}

for (let round = 0; round < rounds; round++) await generate(8, round % 2 === 0, fewTokens); // JavaScript is compiled
for (const do_sample of [false, true]) {
  for (const batch of [1, 8, 32]) {
    const steps = [];
    for (let round = 0; round < rounds; round++) {
      const few = await generate(batch, do_sample, fewTokens);
      const many = await generate(batch, do_sample, manyTokens);
      steps.push({ busy: many.busy - few.busy, whole: many.whole - few.whole });
    }
    const aStep = (key) => (median(steps.map((step) => step[key])) / (manyTokens - fewTokens)).toFixed(1);
    console.log(
      `${batch} sequences, ${do_sample ? 'sampled' : 'greedy'}: ${aStep('busy')} us busy of ${aStep('whole')} us a step`,
    );
  }
}
await model.dispose();
