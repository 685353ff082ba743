import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { safetensorsBytes } from '../random_checkpoint';
import { addon, failure, folder, load, request, tinyProgram, vocabulary } from './tiny_program';

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
