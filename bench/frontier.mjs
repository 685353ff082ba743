/**
 * What int8 schemes cost and give: perplexity on a text, bytes of the weights, and the CPU time of a prompt and of a generated token on one
 * thread, each model in turns with the others. Writes JSON, which a later run with the same file adds to; frontier_plot.mjs draws it.
 *
 *   node bench/frontier.mjs TEXT [--model SOURCE] [--tokens N] [--rounds N] [--only NAME,...] [--json FILE]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { AutoModelForCausalLM, AutoTokenizer, evaluate } from '../dist/index.js';
import { demoModel } from '../scripts/demo-models.mjs';
import { printTable, spread } from './statistics.mjs';

const wholeColumns = { outliers: 'whole-column', outlierWeights: 'float32' };

/** What is compared: options of `from_pretrained` by the name in the table. The first one is what the others are measured against. */
const contestants = {
  float32: { dtype: 'float32' },
  bfloat16: { dtype: 'bfloat16' },
  'float32 + int8 cache': { dtype: 'float32', quantization: { kvCache: 'int8' } },
  absmax: { quantization: 'absmax' },
  zeropoint: { quantization: 'zeropoint' },
  'row-wise': { quantization: 'row-wise' },
  'row-wise + whole columns': { quantization: { scheme: 'row-wise', threshold: 6, ...wholeColumns } },
  'vector-wise': { quantization: 'vector-wise' },
  'vector-wise-zeropoint': { quantization: 'vector-wise-zeropoint' },
  'llm.int8 + whole columns': { quantization: { scheme: 'llm.int8', ...wholeColumns } },
  'llm.int8-zeropoint + whole columns': { quantization: { scheme: 'llm.int8-zeropoint', ...wholeColumns } },
  'llm.int8 + bitsandbytes columns': { quantization: { scheme: 'llm.int8', outliers: 'column' } },
  'llm.int8': { quantization: 'llm.int8' },
  'llm.int8-zeropoint': { quantization: 'llm.int8-zeropoint' },
  int8: { quantization: 'int8' },
  'int8 with float tables': { quantization: { scheme: 'int8', embeddings: false } },
  'int8 + int8 cache': { quantization: { scheme: 'int8', kvCache: 'int8' } },
  'int8-weight-only': { quantization: 'int8-weight-only' },
};

const promptTokens = 512;
const decodeTokens = 32;
const ids = Array.from({ length: promptTokens }, (_, i) => 1000 + ((i * 7919) % 20000)); // the work does not depend on them

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    tokens: { type: 'string', default: '16384' },
    rounds: { type: 'string', default: '7' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const names = given.only?.split(',').map((name) => name.trim()) ?? Object.keys(contestants);
const unknown = names.find((name) => !(name in contestants));
if (unknown !== undefined)
  throw new Error(`no contestant '${unknown}'; there are ${Object.keys(contestants).join(', ')}`);
const source = given.model ?? (await demoModel('smollm2'));
const results = given.json && existsSync(given.json) ? JSON.parse(readFileSync(given.json, 'utf8')) : {};

const [textFile] = positionals;
if (textFile !== undefined) await measureAccuracy(readFileSync(textFile, 'utf8'));
if (Number(given.rounds) > 0) await measureSpeed();
if (given.json) writeFileSync(given.json, `${JSON.stringify(results, null, 2)}\n`);
printTable(
  ['', 'perplexity', 'change %', '+-', 'MB', 'prompt ms', 'token ms'],
  Object.entries(results).map(([name, found]) => [
    name,
    found.perplexity?.toFixed(3) ?? '',
    found.changePercent?.toFixed(2) ?? '',
    found.standardErrorPercent?.toFixed(2) ?? '',
    (found.bytes / 1e6).toFixed(1),
    found.promptMilliseconds?.median ?? '',
    found.tokenMilliseconds?.median ?? '',
  ]),
);

function load(name) {
  return AutoModelForCausalLM.from_pretrained(source, { ...contestants[name], threads: 1 });
}

/** The losses of the first contestant are what the others' are compared with, token by token. */
async function measureAccuracy(text) {
  const tokenizer = await AutoTokenizer.from_pretrained(source);
  const [first] = Object.keys(contestants);
  let base;
  for (const name of [first, ...names.filter((other) => other !== first)]) {
    const model = await load(name);
    const { perplexity, negativeLogLikelihoods: losses } = await evaluate.perplexity(model, tokenizer, text, {
      window: 512,
      maxTokens: Number(given.tokens),
    });
    base ??= losses;
    const differences = losses.map((loss, place) => loss - base[place]);
    const mean = differences.reduce((sum, value) => sum + value, 0) / losses.length;
    const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    results[name] = {
      ...results[name],
      bytes: model.memoryFootprint().weights,
      scoredTokens: losses.length,
      perplexity,
      changePercent: 100 * (Math.exp(mean) - 1),
      standardErrorPercent: 100 * Math.exp(mean) * Math.sqrt(squares / (losses.length - 1) / losses.length),
    };
    await model.dispose();
    console.error(`${name}: ${perplexity.toFixed(3)}, ${results[name].changePercent.toFixed(2)} %`);
  }
}

/** CPU time, which other work on the machine disturbs less than time by the clock; the models take turns. */
async function measureSpeed() {
  const models = [];
  for (const name of names) models.push({ name, model: await load(name), prompt: [], token: [] });
  for (let round = 0; round <= Number(given.rounds); round++) {
    for (const { model, prompt, token } of models) {
      const read = await cpuMilliseconds(() => generate(model, ids, 1));
      const begun = await cpuMilliseconds(() => generate(model, ids.slice(0, 16), 1));
      const generated = await cpuMilliseconds(() => generate(model, ids.slice(0, 16), 1 + decodeTokens));
      if (round === 0) continue; // warm-up
      prompt.push(read);
      token.push((generated - begun) / decodeTokens);
    }
  }
  for (const { name, model, prompt, token } of models) {
    const { weights } = model.memoryFootprint();
    results[name] = {
      ...results[name],
      bytes: weights,
      promptMilliseconds: spread(prompt),
      tokenMilliseconds: spread(token),
    };
    await model.dispose();
  }
}

function generate(model, tokens, count) {
  return model.generate({ input_ids: [tokens] }, { max_new_tokens: count, do_sample: false, eos_token_id: null });
}

async function cpuMilliseconds(work) {
  const begun = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1000;
}
