import type { NativeModel, NativeRunRequest } from '../../../ts/binding/native';
import { addon, failure, greedy, layers, load, request, tiny, vocabulary, width } from './tiny_program';

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

test('steps in one call choose what they choose in calls of their own', async () => {
  const model = await load(2);
  const begin = async () => {
    const caches = [model.createCache(), model.createCache()];
    await model.run(request([[1, 2, 3], [4]], { caches, rows: new Int32Array(), outputs: [] }));
    const samplers = caches.map((_, i) => new addon.Sampler({ ...greedy, do_sample: i === 1, seed: 5n }));
    const step = (first: number, second: number, more: Partial<NativeRunRequest> = {}) =>
      model.run(request([[first], [second]], { caches, samplers, outputs: [], ...more }));
    return { caches, step };
  };
  const single = await begin();
  const chosen: number[] = [];
  let [first = 0, second = 0] = [5, 6];
  for (let i = 0; i < 12; i++) {
    const { sampled } = await single.step(first, second);
    [first = -1, second = -1] = sampled ?? [];
    chosen.push(first, second);
  }
  const last_ids = new Int32Array();
  const together = await begin();
  expect((await together.step(5, 6, { steps: { most: 12, last_ids } })).sampled).toEqual(Int32Array.from(chosen));
  expect(together.caches.map(({ length }) => length)).toEqual(single.caches.map(({ length }) => length));

  // The step that gives the third step's second token, at the latest, is the last.
  const end = chosen[5] ?? -1;
  const ended = await (await begin()).step(5, 6, { steps: { most: 12, last_ids: Int32Array.of(end) } });
  const steps = Math.floor(chosen.indexOf(end) / 2) + 1;
  expect(ended.sampled).toEqual(Int32Array.from(chosen.slice(0, 2 * steps)));

  // A call that waits gets its turn.
  const most = 20_000;
  const [long] = await Promise.all([
    (await begin()).step(5, 6, { steps: { most, last_ids } }),
    model.run(request([[1]])),
  ]);
  expect(long.sampled?.length).toBeLessThan(2 * most);
  model.dispose();
});

test('steps in one call are refused where they need more than their tokens', async () => {
  const model = await load();
  const cache = model.createCache();
  const fits = {
    caches: [cache],
    samplers: [new addon.Sampler(greedy)],
    outputs: [],
    steps: { most: 2, last_ids: new Int32Array() },
  };
  const refused = async (ids: number[], more: Partial<NativeRunRequest>, message: string) => {
    const error = await failure(() => model.run(request([ids], { ...fits, ...more })));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining(message)]);
  };
  await refused([1, 2], { rows: Int32Array.of(1) }, 'one token a sequence');
  await refused([1], { caches: [null] }, 'a cache a sequence');
  await refused([1], { samplers: [] }, 'a sampler a sequence');
  await refused([1], { rows: new Int32Array() }, 'rows 0, 1, ...');
  await refused([1], { outputs: ['logits'] }, 'no outputs');
  await refused([1], { position_ids: Int32Array.of(7) }, 'input_ids only');
  await refused([1], { steps: { most: 0, last_ids: new Int32Array() } }, 'steps.most');
  expect((await model.run(request([[1]], fits))).sampled).toHaveLength(2);
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
