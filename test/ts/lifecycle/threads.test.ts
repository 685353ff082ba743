import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { AutoModelForCausalLM } from '../../../ts';
import { randomCheckpoint } from '../random_checkpoint';

const first = randomCheckpoint({ seed: 3 });
const second = randomCheckpoint({ seed: 4, num_hidden_layers: 3 });
const index = path.resolve(__dirname, '../../../dist/index.js');
afterAll(() => {
  first.remove();
  second.remove();
});

const prompt = [5, 17, 33, 2, 60];
const options = { max_new_tokens: 24, eos_token_id: null };

async function alone(folder: string): Promise<number[]> {
  await using model = await AutoModelForCausalLM.from_pretrained(folder);
  const { sequences } = await model.generate({ input_ids: [prompt] }, options);
  return sequences[0] ?? [];
}

/** Runs generations in a worker thread over the built package; resolves with the ids it posts. */
function inWorker(folder: string, rounds: number): { worker: Worker; result: Promise<number[][]> } {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { AutoModelForCausalLM } = require(workerData.index);
    (async () => {
      const model = await AutoModelForCausalLM.from_pretrained(workerData.folder);
      parentPort.postMessage({ started: true });
      const results = [];
      for (let i = 0; i < workerData.rounds; i++) {
        const { sequences } = await model.generate({ input_ids: [workerData.prompt] }, workerData.options);
        results.push(sequences[0]);
      }
      await model.dispose();
      parentPort.postMessage({ results });
    })();`;
  const worker = new Worker(code, { eval: true, workerData: { index, folder, rounds, prompt, options } });
  const result = new Promise<number[][]>((resolve, reject) => {
    worker.on('message', (message: { results?: number[][] }) => {
      if (message.results) resolve(message.results);
    });
    worker.on('error', reject);
  });
  return { worker, result };
}

test('two models at once give what each gives alone', async () => {
  const expected = [await alone(first.folder), await alone(second.folder)];
  await using one = await AutoModelForCausalLM.from_pretrained(first.folder, { threads: 2 });
  await using two = await AutoModelForCausalLM.from_pretrained(second.folder, { threads: 2 });
  for (let round = 0; round < 5; round++) {
    const results = await Promise.all([one, two].map((model) => model.generate({ input_ids: [prompt] }, options)));
    expect(results.map(({ sequences }) => sequences[0])).toEqual(expected);
  }
});

test('several runs of one model at once give what each gives alone', async () => {
  const expected = await alone(first.folder);
  await using model = await AutoModelForCausalLM.from_pretrained(first.folder);
  const results = await Promise.all(Array.from({ length: 6 }, () => model.generate({ input_ids: [prompt] }, options)));
  for (const { sequences } of results) expect(sequences[0]).toEqual(expected);
});

test('two worker threads at once give what the main thread gives', async () => {
  const expected = await alone(first.folder);
  const workers = [inWorker(first.folder, 10), inWorker(first.folder, 10)];
  for (const { result } of workers) for (const ids of await result) expect(ids).toEqual(expected);
  await Promise.all(workers.map(({ worker }) => worker.terminate()));
});

test('a worker may be terminated during a run', async () => {
  const { worker } = inWorker(first.folder, 1_000_000);
  await new Promise<void>((resolve) => worker.once('message', () => setTimeout(resolve, 20)));
  await worker.terminate();
  expect(await alone(first.folder)).toHaveLength(prompt.length + options.max_new_tokens);
});
