#!/usr/bin/env node
// Does Python load what `octoformer quantize` writes, and compute the same? Quantizes checkpoints, runs them with transformers and
// bitsandbytes (scripts/check_bitsandbytes.py) and with octoformer, and compares logits.
//
//   node scripts/check-bitsandbytes.mjs [FOLDER ...]      default: all of test/fixtures/models
//
// PYTHON names a Python with torch, transformers, accelerate and bitsandbytes; the default is python3. `npm run setup` must have been run.
// Exit code 1 if a checkpoint does not load, or is further from bitsandbytes than int8 rounding explains.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const octoformer = createRequire(import.meta.url)(path.join(root, 'dist'));
const cli = path.join(root, 'dist', 'cli', 'main.js');

// Two sequences, of ids that every vocabulary has.
const inputs = [
  [3, 7, 11, 5, 9, 4, 12, 8, 6, 10, 13, 2],
  [20, 14, 17, 3, 9],
];

// bitsandbytes rounds activations to float16 before it quantizes them and octoformer doesn't: entries on the edge between two int8
// numbers go either way, which is as large as what rounding to int8 changes by itself, and rarely twice that.
const mostRounding = 2;

const auto = {
  LMHeadModel: 'AutoModelForCausalLM',
  ForCausalLM: 'AutoModelForCausalLM',
  ForConditionalGeneration: 'AutoModelForSeq2SeqLM',
  ForMaskedLM: 'AutoModelForMaskedLM',
  ForSequenceClassification: 'AutoModelForSequenceClassification',
  ForTokenClassification: 'AutoModelForTokenClassification',
  ForQuestionAnswering: 'AutoModelForQuestionAnswering',
  Model: 'AutoModel',
};

// Python's own doing: nothing that a checkpoint could change.
const notInPython = {
  falcon: 'transformers 5 replaces torch.nn.Linear only, and Falcon has a class of its own (FalconLinear)',
};

function readConfig(folder) {
  return JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8'));
}

/** What a model gives for each input: [name of the output, numbers]. */
async function run(folder, architecture, options) {
  const suffix = Object.keys(auto).find((name) => architecture.endsWith(name));
  const model = await octoformer[auto[suffix]].from_pretrained(folder, { dtype: 'float32', ...options });
  try {
    let name;
    const values = [];
    // One call a sequence, as in Python: columns of outliers are those of a call.
    for (const ids of inputs) {
      const decoder = suffix === 'ForConditionalGeneration' ? { decoder_input_ids: [ids.slice(0, 4)] } : {};
      const outputs = await model.forward({ input_ids: [ids], ...decoder });
      name = ['logits', 'start_logits', 'last_hidden_state'].find((one) => outputs[one] !== undefined);
      values.push([...outputs[name][0].data]);
    }
    return { name, values };
  } finally {
    await model.dispose();
  }
}

/** |a - b| / |a| of all numbers, in Euclid's norm. */
function distance(a, b) {
  let [difference, norm] = [0, 0];
  for (const [i, row] of a.entries()) {
    if (row.length !== b[i]?.length) return Number.POSITIVE_INFINITY;
    for (const [j, value] of row.entries()) {
      difference += (value - b[i][j]) ** 2;
      norm += value ** 2;
    }
  }
  return Math.sqrt(difference / norm);
}

const parent = path.join(root, 'test', 'fixtures', 'models');
const sources =
  process.argv.length > 2 ? process.argv.slice(2) : readdirSync(parent).map((name) => path.join(parent, name));
const work = mkdtempSync(path.join(tmpdir(), 'octoformer-bitsandbytes-'));
let failures = 0;
try {
  const cases = [];
  for (const source of sources) {
    const [name, folder] = [path.basename(source), path.join(work, path.basename(source))];
    const quantized = spawnSync(process.execPath, [cli, 'quantize', source, folder, '--json'], { encoding: 'utf8' });
    if (quantized.status !== 0) {
      console.log(`${name}: ${quantized.stderr.trim()}`);
      failures += 1;
      continue;
    }
    const { architectures, model_type } = readConfig(folder);
    if (notInPython[model_type]) {
      console.log(`${name}: left out: ${notInPython[model_type]}`);
      continue;
    }
    const [architecture] = architectures;
    const float = await run(source, architecture, { quantization: 'none' });
    const int8 = await run(folder, architecture, { quantization: { scheme: 'llm.int8', outliers: 'column' } });
    cases.push({ name, folder, architecture, float, int8 });
  }
  const task = path.join(work, 'task.json');
  writeFileSync(
    task,
    JSON.stringify({
      inputs,
      cases: cases.map(({ folder, architecture, int8 }) => ({ folder, architecture, output: int8.name })),
    }),
  );
  const python = spawnSync(
    process.env.PYTHON ?? 'python3',
    [path.join(root, 'scripts', 'check_bitsandbytes.py'), task],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 30,
      stdio: ['ignore', 'pipe', process.env.VERBOSE ? 'inherit' : 'pipe'],
    },
  );
  if (python.status !== 0) throw new Error(`Python failed: ${python.error?.message ?? python.stderr}`);
  const results = JSON.parse(readFileSync(`${task}.out`, 'utf8'));
  console.log('checkpoint            int8 layers   to bitsandbytes   of that to float32');
  for (const [index, { name, float, int8 }] of cases.entries()) {
    const result = results[index];
    if (result.error !== undefined) {
      console.log(`${name.padEnd(20)}  does not load: ${result.error}`);
      failures += 1;
      continue;
    }
    const [ours, rounding] = [distance(result.values, int8.values), distance(result.values, float.values)];
    const isNear = ours <= mostRounding * rounding && result.int8 > 0;
    if (!isNear) failures += 1;
    console.log(
      `${name.padEnd(20)} ${String(result.int8).padStart(12)} ${ours.toExponential(2).padStart(17)} ${rounding.toExponential(2).padStart(20)}${isNear ? '' : '   TOO FAR'}`,
    );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;
