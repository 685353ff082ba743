import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { nativeAddon } from '../../../ts/binding/load';
import type { NativeModel, NativeRunRequest, NativeSamplerOptions } from '../../../ts/binding/native';
import type { Op, Program, Value, WeightDescription } from '../../../ts/graph/program';
import { randomNumbers, type StoredTensor, safetensorsBytes } from '../random_checkpoint';

const addon = nativeAddon();
const folder = mkdtempSync(path.join(tmpdir(), 'octoformer-native-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const vocabulary = 11;
const width = 6;
const layers = 3;

function tensor(name: string, shape: readonly number[], next: () => number): StoredTensor {
  const count = shape.reduce((product, size) => product * size, 1);
  return { name, shape, data: Float32Array.from({ length: count }, next) };
}

/** Embedding, then layers of x += W attention(x), one head of 6; logits by a last matrix. `size` scales nothing but time. */
function tinyProgram(vocab = vocabulary, columns = width): { program: Program; tensors: StoredTensor[] } {
  const next = randomNumbers(3);
  const linear = (name: string, rows: number): WeightDescription => ({
    name,
    role: 'linear',
    shape: [rows, columns],
    form: 'auto',
    compute: 'float32',
    parts: [{ tensor: name, shape: [rows, columns] }],
  });
  const whole = (buffer: number, count = columns): Value => ({ buffer, offset: 0, columns: count });
  const weights = [linear('embed', vocab), linear('head', vocab)];
  const ops: Op[] = [{ op: 'embedding', index: 'input_ids', table: 0, out: whole(0) }];
  for (let layer = 0; layer < layers; layer++) {
    weights.push(linear(`layer${layer}`, columns));
    ops.push(
      {
        op: 'attention',
        query: whole(0),
        key: whole(0),
        value: whole(0),
        out: whole(1),
        layer,
        heads: 1,
        scale: 1 / columns,
        pattern: { kind: 'causal' },
        probabilities: `attentions.${layer}`,
      },
      { op: 'linear', input: whole(1), weight: 2 + layer, residual: whole(0), out: whole(0) },
      { op: 'output', name: `hidden_states.${layer + 1}`, input: whole(0) },
    );
  }
  ops.push(
    { op: 'gather_rows', input: whole(0), out: whole(2) },
    { op: 'linear', input: whole(2), weight: 1, out: whole(3, vocab) },
    { op: 'output', name: 'logits', input: whole(3, vocab) },
  );
  const program: Program = {
    version: 1,
    weights,
    buffers: [
      { rows: 'tokens', columns },
      { rows: 'tokens', columns },
      { rows: 'rows', columns },
      { rows: 'rows', columns: vocab },
    ],
    cache_layers: Array.from({ length: layers }, () => ({ kv_heads: 1, head_dim: columns })),
    ops,
  };
  return { program, tensors: weights.map(({ name, shape }) => tensor(name, shape, next)) };
}

const tiny = tinyProgram();
const file = path.join(folder, 'tiny.safetensors');
writeFileSync(file, safetensorsBytes(tiny.tensors));

/** The same in plain JavaScript: logits of every token. */
function expectedLogits(ids: readonly number[]): number[][] {
  const rowsOf = (name: string) => {
    const found = tiny.tensors.find((candidate) => candidate.name === name);
    if (!found) throw new Error(name);
    return (row: number) => Array.from(found.data.slice(row * width, (row + 1) * width));
  };
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
  let x = ids.map(rowsOf('embed'));
  for (let layer = 0; layer < layers; layer++) {
    const weight = rowsOf(`layer${layer}`);
    x = x.map((query, t) => {
      const scores = x.slice(0, t + 1).map((key) => Math.exp(dot(query, key) / width));
      const total = scores.reduce((sum, score) => sum + score, 0);
      const mixed = query.map((_, i) => scores.reduce((sum, score, s) => sum + (score / total) * (x[s]?.[i] ?? 0), 0));
      return query.map((value, i) => value + dot(weight(i), mixed));
    });
  }
  const head = rowsOf('head');
  return x.map((row) => Array.from({ length: vocabulary }, (_, i) => dot(head(i), row)));
}

async function load(threads = 1): Promise<NativeModel> {
  const checkpoint = await addon.openCheckpoint([file]);
  try {
    return await addon.loadModel(checkpoint, JSON.stringify(tiny.program), { threads, isa: '' }, null, null);
  } finally {
    checkpoint.dispose();
  }
}

function request(sequences: readonly (readonly number[])[], more: Partial<NativeRunRequest> = {}): NativeRunRequest {
  const ids = sequences.flat();
  return {
    input_ids: Int32Array.from(ids),
    lengths: Int32Array.from(sequences, (sequence) => sequence.length),
    caches: sequences.map(() => null),
    rows: Int32Array.from(ids, (_, i) => i),
    outputs: ['logits'],
    ...more,
  };
}

const greedy: NativeSamplerOptions = {
  do_sample: false,
  temperature: 1,
  top_k: 0,
  top_p: 1,
  min_p: 0,
  repetition_penalty: 1,
  seed: 0n,
  eos_token_ids: new Int32Array(),
  min_new_tokens: 0,
  prompt_ids: new Int32Array(),
};

/** What `work` fails with; its promise or its throw. */
async function failure(work: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await work();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, message };
  }
  throw new Error('nothing failed');
}

test('info tells what the build and the machine have', () => {
  const info = addon.info();
  expect(info.isas).toContain(info.isa);
  expect(info.isas).toContain('scalar');
  expect(info.threads).toBeGreaterThan(0);
  expect(info.cuda).toEqual({ available: false, reason: expect.stringContaining('CUDA'), devices: [] });
});

test('a checkpoint lists its tensors and gives their rows', async () => {
  const checkpoint = await addon.openCheckpoint([file]);
  expect(checkpoint.format).toBe('safetensors');
  expect(checkpoint.tensors[0]).toEqual({ name: 'embed', dtype: 'F32', shape: [11, 6], bytes: 264, file });
  expect(checkpoint.tensors).toBe(checkpoint.tensors);
  expect(checkpoint.metadata).toEqual({});
  expect(checkpoint.readRows('embed', 2, 2)).toEqual(tiny.tensors[0]?.data.slice(12, 24));
  expect(checkpoint.readRows('embed', 11, 0)).toHaveLength(0);
  expect(await failure(() => checkpoint.readRows('embed', 10, 2))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => checkpoint.readRows('embed', 0.5, 2))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => checkpoint.readRows('x', 0, 1))).toMatchObject({ code: 'MISSING_WEIGHT' });
  checkpoint.dispose();
  checkpoint.dispose();
  expect(await failure(() => checkpoint.tensors)).toMatchObject({ code: 'DISPOSED' });
  expect(await failure(() => addon.openCheckpoint([`${file}.not`]))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await failure(() => addon.openCheckpoint([]))).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('metadata keys are data, whatever they are called', async () => {
  const odd = path.join(folder, 'odd.safetensors');
  const header = Buffer.from('{"__metadata__":{"__proto__":"a","format":"pt"}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(odd, Buffer.concat([length, header]));
  const { metadata } = await addon.openCheckpoint([odd]);
  expect(Object.entries(metadata)).toEqual([
    ['__proto__', 'a'],
    ['format', 'pt'],
  ]);
});

test('a model computes what plain JavaScript does', async () => {
  const model = await load();
  const ids = [3, 1, 4, 1, 5, 9, 2, 6];
  const { outputs, sampled } = await model.run(request([ids]));
  const expected = expectedLogits(ids).flat();
  expect(sampled).toBeUndefined();
  expect(outputs.logits).toHaveLength(expected.length);
  // Sums of 6 to 8 float32 products through four matrices; the residual stream stays below 10: some 100 roundings of 2^-24 x 10.
  expected.forEach((value, i) => {
    expect(Math.abs((outputs.logits?.[i] ?? Number.NaN) - value)).toBeLessThan(1e-4);
  });
  expect(model.threads).toBe(1);
  expect(addon.info().isas).toContain(model.isa);
  model.dispose();
});

test('batches, caches, forks and asked-for rows have the same bits as a sequence alone', async () => {
  const model = await load(2);
  const a = Array.from({ length: 70 }, (_, i) => (i * 5) % vocabulary);
  const b = [1, 2, 3];
  const alone = await model.run(request([a]));
  const together = await model.run(request([b, a], { rows: Int32Array.of(72, 3) }));
  expect(together.outputs.logits?.slice(0, vocabulary)).toEqual(alone.outputs.logits?.slice(-vocabulary));
  expect(together.outputs.logits?.slice(vocabulary)).toEqual(alone.outputs.logits?.slice(0, vocabulary));

  const cache = model.createCache();
  await model.run(request([a.slice(0, 40)], { caches: [cache], rows: new Int32Array(), outputs: [] }));
  const fork = cache.fork();
  expect([cache.length, fork.length, cache.bytes]).toEqual([40, 40, fork.bytes]);
  const step = await model.run(request([a.slice(40), b], { caches: [cache, fork], rows: Int32Array.of(29) }));
  expect(step.outputs.logits).toEqual(alone.outputs.logits?.slice(-vocabulary));
  expect([cache.length, fork.length]).toEqual([70, 43]);
  fork.truncate(40);
  const again = await model.run(request([a.slice(40)], { caches: [fork], rows: Int32Array.of(29) }));
  expect(again.outputs.logits).toEqual(step.outputs.logits);
  expect(model.memory().cache).toBeGreaterThan(0);
  fork.dispose();
  expect(await failure(() => fork.length)).toMatchObject({ code: 'DISPOSED' });
  model.dispose();
  expect(await failure(() => cache.fork())).toMatchObject({ code: 'DISPOSED' });
});

test('runs queue up: a cache may be in several, which see it grow', async () => {
  const model = await load();
  const cache = model.createCache();
  const runs = [[1, 2], [3], [4, 5]].map((ids) => model.run(request([ids], { caches: [cache] })));
  expect(await failure(() => cache.fork())).toMatchObject({ code: 'INVALID_ARGUMENT' });
  const results = await Promise.all(runs);
  const whole = await model.run(request([[1, 2, 3, 4, 5]]));
  expect(results.flatMap(({ outputs }) => Array.from(outputs.logits ?? []))).toEqual(
    Array.from(whole.outputs.logits ?? []),
  );
  expect(cache.length).toBe(5);
  model.dispose();
});

test('outputs come by name', async () => {
  const model = await load();
  const { outputs } = await model.run(request([[1, 2, 3], [4]], { outputs: ['hidden_states.1', 'attentions.0'] }));
  expect(Object.keys(outputs).sort()).toEqual(['attentions.0', 'hidden_states.1']);
  expect(outputs['hidden_states.1']).toHaveLength(4 * width);
  expect(outputs['attentions.0']).toHaveLength(9 + 1);
  expect(outputs['attentions.0']?.[9]).toBe(1);
  expect((await failure(() => model.run(request([[1]], { outputs: ['x'] })))).message).toContain("no output 'x'");
  model.dispose();
});

test('samplers choose in the run and keep their history', async () => {
  const model = await load();
  const ids = [3, 1, 4];
  const samplers = [new addon.Sampler(greedy)];
  const rows = Int32Array.of(2);
  const { sampled, outputs } = await model.run(request([ids], { rows, samplers }));
  const logits = Array.from(outputs.logits ?? []);
  expect(Array.from(sampled ?? [])).toEqual([logits.indexOf(Math.max(...logits))]);

  const forgetful = { ...greedy, eos_token_ids: Int32Array.of(sampled?.[0] ?? 0), min_new_tokens: 1 };
  const minimum = [new addon.Sampler(forgetful)];
  const first = await model.run(request([ids], { rows, samplers: minimum }));
  const second = await model.run(request([ids], { rows, samplers: minimum }));
  expect(first.sampled?.[0]).not.toBe(sampled?.[0]);
  expect(second.sampled?.[0]).toBe(sampled?.[0]);
  const pending = model.run(request([ids], { rows, samplers }));
  expect(await failure(() => samplers[0]?.sample(new Float32Array(3)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => model.run(request([ids], { rows, samplers })))).toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await pending;
  model.dispose();
});

test('a sampler alone: same seed, same draws', async () => {
  const draws = (seed: bigint) => {
    const sampler = new addon.Sampler({ ...greedy, do_sample: true, seed });
    return Array.from({ length: 20 }, () => sampler.sample(new Float32Array(100)));
  };
  expect(draws(2n ** 64n - 1n)).toEqual(draws(2n ** 64n - 1n));
  expect(draws(1n)).not.toEqual(draws(2n));
  expect(await failure(() => draws(2n ** 64n))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => new addon.Sampler({ ...greedy, temperature: 0 }))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('temperature'),
  });
  const nan = new addon.Sampler(greedy);
  expect(await failure(() => nan.sample(Float32Array.of(1, Number.NaN)))).toMatchObject({ code: 'INTERNAL' });
});

test('loading tells progress, bytes by form, and what is wrong', async () => {
  const checkpoint = await addon.openCheckpoint([file]);
  const options = { threads: 1, isa: '' };
  const reports: [number, number][] = [];
  const text = JSON.stringify(tiny.program);
  const model = await addon.loadModel(checkpoint, text, options, null, (loaded, total) =>
    reports.push([loaded, total]),
  );
  const bytes = tiny.tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  expect(reports.at(-1)).toEqual([bytes, bytes]);
  expect(model.memory().weights).toBeGreaterThanOrEqual(bytes);
  expect(model.memory().weights_by_form).toEqual({ float32: model.memory().weights });
  expect(model.weightInfo(0).form).toBe('float32');
  expect(await failure(() => model.weightInfo(99))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  model.dispose();

  const fails = (program: string, more: Partial<typeof options> = {}) =>
    failure(() => addon.loadModel(checkpoint, program, { ...options, ...more }, null, null));
  expect((await fails('{')).code).toBe('INVALID_ARGUMENT');
  expect((await fails(text.replace('"attention"', '"retention"'))).message).toContain("unknown op 'retention'");
  expect((await fails(text.replaceAll('"tensor":"head"', '"tensor":"tail"'))).code).toBe('MISSING_WEIGHT');
  expect((await fails(text, { isa: 'mmx' })).code).toBe('INVALID_ARGUMENT');
  expect((await fails(text, { threads: -1 })).code).toBe('INVALID_ARGUMENT');
  const flag = new addon.AbortFlag();
  flag.abort();
  expect((await failure(() => addon.loadModel(checkpoint, text, options, flag, null))).code).toBe('ABORTED');
  expect(
    (
      await failure(() =>
        addon.loadModel(checkpoint, text, options, null, () => {
          throw Object.assign(new Error('mine'), { code: 'MINE' });
        }),
      )
    ).code,
  ).toBe('MINE');
  checkpoint.dispose();
  expect((await fails(text)).code).toBe('DISPOSED');
});

test('foreign objects and wrong types are refused by name', async () => {
  const model = await load();
  const refused = async (more: object, name: string) => {
    const { code, message } = await failure(() => model.run({ ...request([[1, 2]]), ...more } as NativeRunRequest));
    expect([code, message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining(name)]);
  };
  await refused({ caches: [{}] }, 'caches[0] must be an object of class Cache');
  await refused({ caches: [model] }, 'caches[0] must be an object of class Cache');
  await refused({ caches: [] }, '0 caches for 1 sequences');
  await refused({ samplers: [new addon.AbortFlag(), null] }, 'samplers[0] must be an object of class Sampler');
  await refused({ input_ids: [1, 2] }, 'input_ids must be an Int32Array');
  await refused({ input_ids: new Float32Array(2) }, 'input_ids must be an Int32Array');
  await refused({ abort: { abort() {} } }, 'abort must be an object of class AbortFlag');
  await refused({ outputs: 'logits' }, 'outputs must be an array');
  const Model = model.constructor as new (value?: unknown) => NativeModel;
  expect(await failure(() => new Model())).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(await failure(() => Model.prototype.memory.call({}))).toBeDefined();
  model.dispose();
});

test('aborts and disposal end runs, after which memory is given back', async () => {
  const model = await load();
  const cache = model.createCache();
  const flag = new addon.AbortFlag();
  flag.abort();
  expect((await failure(() => model.run(request([[1, 2]], { caches: [cache], abort: flag })))).code).toBe('ABORTED');
  expect(cache.length).toBe(0);
  const long = Array.from({ length: 3000 }, (_, i) => i % vocabulary);
  const codes = [0, 1, 2].map(() => failure(() => model.run(request([long]))));
  model.dispose();
  model.dispose();
  expect((await Promise.all(codes)).map(({ code }) => code)).toEqual(['ABORTED', 'ABORTED', 'ABORTED']);
  for (const use of [() => model.createCache(), () => model.run(request([[1]])), () => model.memory()]) {
    expect((await failure(use)).code).toBe('DISPOSED');
  }
});

test('a worker thread may end in the middle of runs that wait and one that works', async () => {
  const large = tinyProgram(vocabulary, 128);
  const largeFile = path.join(folder, 'large.safetensors');
  writeFileSync(largeFile, safetensorsBytes(large.tensors));
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    const addon = require(workerData.addon);
    (async () => {
      const checkpoint = await addon.openCheckpoint([workerData.file]);
      const model = await addon.loadModel(checkpoint, workerData.program, { threads: 1, isa: '' }, null, () => {});
      const ids = Int32Array.from({ length: 2000 }, (_, i) => i % ${vocabulary});
      const run = () => model.run({ input_ids: ids, lengths: Int32Array.of(2000), caches: [model.createCache()],
        rows: Int32Array.of(1999), outputs: ['logits'] });
      const { outputs } = await run();
      for (let i = 0; i < 5; i++) run();
      parentPort.postMessage(outputs.logits);
    })();`;
  const addonFile = Object.keys(require.cache).find((name) => name.endsWith('octoformer.node'));
  const workerData = {
    addon: addonFile ?? process.env.OCTOFORMER_ADDON ?? path.resolve('build/Release/octoformer.node'),
    file: largeFile,
    program: JSON.stringify(large.program),
  };
  const results = await Promise.all(
    [0, 1].map(async () => {
      const worker = new Worker(source, { eval: true, workerData });
      const logits = await new Promise<Float32Array>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
      await worker.terminate();
      return logits;
    }),
  );
  expect(results[0]).toHaveLength(vocabulary);
  expect(results[0]).toEqual(results[1]);
});
