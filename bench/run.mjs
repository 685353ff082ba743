/**
 * npm run bench [-- --rounds N] [--threads N] [--no-peers] [--json FILE]
 * In one run: what this machine can do, what the kernels reach of it, and the real model beside its peers.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { demoModel } from '../scripts/demo-models.mjs';
import { main, root, step } from '../scripts/process.mjs';
import { setup } from '../scripts/setup.mjs';
import { cacheFolder } from '../scripts/toolchain.mjs';
import { measureKernels } from './kernels.mjs';
import { measureModel } from './model.mjs';
import { median, printTable } from './statistics.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string' },
    'no-peers': { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});

const percent = (fraction) => `${(100 * fraction).toFixed(0)} %`;
const shapeOf = ({ shape }) => shape.join('x');

/** Installs the peers (bench/peers/package.json) outside the repository; null where that is not possible. */
async function peersFolder() {
  if (options['no-peers']) return null;
  const folder = path.join(cacheFolder(), 'bench-peers');
  if (existsSync(path.join(folder, 'node_modules', 'node-llama-cpp'))) return folder;
  try {
    await step('bench: installing the peers', () => {
      mkdirSync(folder, { recursive: true });
      const manifest = path.join(root, 'bench/peers/package.json');
      writeFileSync(
        path.join(folder, 'package.json'),
        execFileSync('node', ['-p', `JSON.stringify(require('${manifest}'))`]),
      );
      // Its optional packages are builds for every platform and GPU, 700 MB; the manifest names the one that is measured.
      execFileSync('npm', ['install', '--no-audit', '--no-fund', '--omit=optional', '--ignore-scripts'], {
        cwd: folder,
      });
    });
    return folder;
  } catch (error) {
    console.log(`  without peers: ${error.message.split('\n')[0]}`);
    return null;
  }
}

/** The model as bfloat16 matrices in a GGUF, for peers that read only that. */
async function bfloat16Model(source) {
  const target = path.join(cacheFolder(), 'bench-smollm2-bf16.gguf');
  if (existsSync(target)) return target;
  const { nativeAddon } = await import('../dist/binding/load.js');
  const { widenGguf } = await import('./peers/widen_gguf.mjs');
  await step('bench: writing the weights as bfloat16 for the peers', async () => {
    const checkpoint = await nativeAddon().openCheckpoint([source]);
    widenGguf(checkpoint, source, target);
    checkpoint.dispose();
  });
  return target;
}

function printKernels(kernels) {
  console.log('\nThe machine (median; G = 10^9)');
  printTable(
    ['limit', 'threads', 'value', 'unit'],
    kernels.peaks.map((line) => {
      const unit = 'gmacs' in line ? 'gmacs' : 'gb_per_s';
      return [
        `${line.bench} (${line.isa})`,
        String(line.threads),
        line[unit],
        unit === 'gmacs' ? 'G multiply-adds/s' : 'GB/s',
      ];
    }),
  );
  console.log('\nMatrix products, epilogue included, against the peak measured in turns with them');
  printTable(
    ['rows x depth x columns', 'form', 'threads', 'G mul-add/s', 'of peak'],
    kernels.prefill.map((line) => [
      shapeOf(line),
      `${line.form} (${line.isa})`,
      String(line.threads),
      line.gmacs,
      percent(line.of_peak),
    ]),
  );
  console.log('\nOne row (decoding), against the memory bandwidth measured in turns with it');
  printTable(
    ['rows x depth x columns', 'form', 'threads', 'GB/s', 'of memory'],
    kernels.decode.map((line) => [
      shapeOf(line),
      `${line.form} (${line.isa})`,
      String(line.threads),
      line.gb_per_s,
      percent(line.of_memory),
    ]),
  );
}

function printModel(results) {
  console.log(
    '\nSmolLM2-135M-Instruct: a prompt of 512 tokens, then 64 generated after 16 (tokens/s: median, least to most)',
  );
  const spreadText = ({ median: middle, least, most }) =>
    `${middle.toFixed(0)} (${least.toFixed(0)}-${most.toFixed(0)})`;
  printTable(
    ['engine', 'threads', 'prompt tokens/s', 'generated tokens/s', 'of memory bandwidth', 'load s', 'peak MB'],
    results.map((r) => [
      r.name,
      String(r.threads),
      spreadText(r.prefillTokensPerSecond),
      spreadText(r.decodeTokensPerSecond),
      percent(r.decodeFractionOfDram),
      r.loadSeconds,
      r.peakBytes / 2 ** 20,
    ]),
  );
}

await main(async () => {
  await setup({ nativeBench: true });
  const { info } = await import('../dist/index.js');
  const machine = info();
  const threads = Number(options.threads ?? machine.threads);
  const smollm2 = await demoModel('smollm2');
  const peers = await peersFolder();
  const widened = peers ? await bfloat16Model(smollm2) : null;

  const measured = {};
  await step('bench: kernels', () => {
    measured.kernels = {
      peaks: measureKernels(root, { threads, only: 'peaks' }).filter((line) => line.bench !== 'machine'),
      prefill: measureKernels(root, { threads: 1, only: 'prefill' }).filter((line) => line.bench === 'prefill'),
      decode: measureKernels(root, { threads, only: 'decode' }).filter((line) => line.bench === 'decode'),
    };
  });
  printKernels(measured.kernels);

  const memoryRate = () =>
    measureKernels(root, { threads, only: 'peaks' }).find(
      (line) => line.bench === 'read_memory' && line.threads === threads,
    ).gb_per_s * 1e9;
  await step('\nbench: the model and its peers by turns', async () => {
    const before = memoryRate();
    const { AutoModelForCausalLM } = await import('../dist/index.js');
    const weightBytes = async (dtype) => {
      const model = await AutoModelForCausalLM.from_pretrained(smollm2, { dtype });
      const { weights } = model.memoryFootprint();
      await model.dispose();
      return weights;
    };
    const ours = async (dtype) => ({
      name: `octoformer ${dtype}`,
      worker: 'octoformer.mjs',
      model: smollm2,
      dtype,
      bytesPerToken: await weightBytes(dtype),
    });
    const contestants = [await ours('float32'), await ours('bfloat16')];
    if (peers) {
      const llama = (name, model, bytesPerToken) => ({ name, worker: 'node_llama_cpp.mjs', model, bytesPerToken });
      contestants.push(llama('node-llama-cpp bf16', widened, contestants[1].bytesPerToken));
      contestants.push(llama('node-llama-cpp Q4_1', smollm2, 98_362_432));
    }
    measured.model = await measureModel(contestants, {
      threads,
      rounds: Number(options.rounds),
      environment: { PEERS_FOLDER: peers ?? '' },
    });
    const bandwidth = median([before, memoryRate()]);
    for (const [index, result] of measured.model.entries()) {
      result.decodeFractionOfDram =
        (result.decodeTokensPerSecond.median * contestants[index].bytesPerToken) / bandwidth;
    }
  });
  printModel(measured.model);

  const { measureResponsiveness } = await import('./responsiveness.mjs');
  measured.responsiveness = await measureResponsiveness(smollm2, threads);
  const { promptTokens, prefillSeconds, eventLoopDelayMilliseconds, abortMilliseconds, layerMilliseconds } =
    measured.responsiveness;
  console.log(`\nWhile a prompt of ${promptTokens} tokens is read (${prefillSeconds.toFixed(1)} s)`);
  printTable(
    ['what', 'ms'],
    [
      ['longest delay of the event loop', eventLoopDelayMilliseconds.most],
      ['99th percentile of the delay', eventLoopDelayMilliseconds.p99],
      ['an abort is honoured after at most', abortMilliseconds],
      ['one layer takes', layerMilliseconds],
    ],
  );
  if (options.json)
    writeFileSync(options.json, JSON.stringify({ date: new Date().toISOString(), machine, ...measured }, null, 1));
});
