/** An int8 product beside those of other libraries, by turns: ours with quantization of its input, bias and residual. */
import { root } from '../scripts/process.mjs';
import { Engine } from './engine.mjs';
import { measureKernels } from './kernels.mjs';
import { spread } from './statistics.mjs';

const shape = { rows: 512, columns: 4096, depth: 4096 };
/** Of each turn: long enough for a median, short enough that all meet the same phases of the machine. */
const secondsEach = 0.5;

const ours = (isa) => ({
  needs: undefined,
  async start({ threads }) {
    const measure = () => measureKernels(root, { threads, only: 'product', seconds: secondsEach, isa });
    return {
      async rate() {
        const line = measure().find(({ bench }) => bench === 'int8_prefill');
        return { rate: line.rate * 1e9, ofPeak: line.fraction };
      },
      close() {},
    };
  },
});

const peer = (worker, needs, settings = {}) => ({
  worker,
  needs,
  async start({ threads, python }) {
    const engine = new Engine(worker, python);
    await engine.ask({ task: 'load', threads, ...settings });
    return {
      rate: () => engine.ask({ task: 'product', ...shape, seconds: secondsEach }),
      close: () => engine.close(),
    };
  },
});

/** The engines, in the order of the table: `needs` as in contestants.mjs. */
export function productEngines(isas) {
  const engines = {
    'octoformer int8': ours(undefined),
    ...(isas.includes('amx') && isas.includes('avx512_bf16')
      ? { 'octoformer int8, AVX-512 VNNI': ours('avx512_bf16') }
      : {}),
    'oneDNN (PyTorch), bare int8 product': peer('gemm_pytorch.py', 'torch', { kind: 'bare' }),
    'PyTorch linear, input quantized': peer('gemm_pytorch.py', 'torch', { kind: 'linear' }),
    'onnxruntime DynamicQuantizeMatMul': peer('gemm_onnxruntime.py', 'onnxruntime'),
  };
  return Object.entries(engines).map(([name, engine]) => ({ name, worker: '', ...engine }));
}

/** @returns {Promise<{ name: string, rates: { product?: object }, ofPeak?: object, error?: string }[]>} multiply-adds a second */
export async function measureProducts(engines, { threads, rounds, python }) {
  const entries = engines.map((engine) => ({ ...engine, found: [] }));
  for (const entry of entries) {
    try {
      entry.running = await entry.start({ threads, python });
    } catch (error) {
      entry.error = error.message;
    }
  }
  for (let round = 0; round <= rounds; round++) {
    for (const entry of entries.filter(({ error }) => error === undefined)) {
      try {
        const one = await entry.running.rate();
        if (round > 0) entry.found.push(one); // the first warms up
      } catch (error) {
        entry.error = error.message;
      }
    }
  }
  for (const { running } of entries) running?.close();
  return entries.map(({ name, version, found, error }) => ({
    name,
    version,
    ...(found.length > 0 ? { rate: ratesOf(found) } : {}),
    ...(found[0]?.ofPeak ? { ofPeak: spread(found.map(({ ofPeak }) => ofPeak)) } : {}),
    ...(error ? { error } : {}),
  }));
}

function ratesOf(found) {
  const values = found.map(({ rate }) => rate);
  return { ...spread(values), values };
}
