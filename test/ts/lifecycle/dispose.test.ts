import { AutoModelForCausalLM, OctoformerError } from '../../../ts';
import { randomCheckpoint } from '../random_checkpoint';

const checkpoint = randomCheckpoint();
afterAll(() => checkpoint.remove());

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (OctoformerError.is(error)) return error.code;
    throw error;
  }
  return 'no error';
}

test('every use after dispose says DISPOSED', async () => {
  const model = await AutoModelForCausalLM.from_pretrained(checkpoint.folder);
  const cache = model.createCache();
  await model.dispose();
  await model.dispose(); // a second time does nothing
  expect(await codeOf(model.forward({ input_ids: [[1, 2]] }))).toBe('DISPOSED');
  expect(await codeOf(model.generate({ input_ids: [[1, 2]] }, { max_new_tokens: 1 }))).toBe('DISPOSED');
  expect(() => model.createCache()).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  expect(() => cache.fork()).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
});

test('dispose while a run is under way ends it with ABORTED or DISPOSED', async () => {
  const long = randomCheckpoint({ hidden_size: 256, intermediate_size: 512, num_hidden_layers: 8 });
  try {
    const model = await AutoModelForCausalLM.from_pretrained(long.folder, { threads: 1 });
    const input = Array.from({ length: 2000 }, (_, i) => i % 96);
    const running = codeOf(model.forward({ input_ids: [input] }));
    const queued = codeOf(model.forward({ input_ids: [input] }));
    await model.dispose();
    expect(['ABORTED', 'DISPOSED']).toContain(await running);
    expect(['ABORTED', 'DISPOSED']).toContain(await queued);
  } finally {
    long.remove();
  }
});

test('a disposed cache cannot be used, its forks can', async () => {
  await using model = await AutoModelForCausalLM.from_pretrained(checkpoint.folder);
  const cache = model.createCache();
  await model.forward({ input_ids: [[1, 2, 3]], past: [cache] });
  const fork = cache.fork();
  cache.dispose();
  expect(await codeOf(model.forward({ input_ids: [[4]], past: [cache] }))).toBe('DISPOSED');
  const continued = await model.forward({ input_ids: [[4]], past: [fork] });
  const whole = await model.forward({ input_ids: [[1, 2, 3, 4]] });
  const last = whole.logits[0]?.data.slice(-96);
  expect(continued.logits[0]?.data).toEqual(last);
  fork.dispose();
});

test('an abort ends a generation with ABORTED and leaves the model usable', async () => {
  await using model = await AutoModelForCausalLM.from_pretrained(checkpoint.folder);
  const controller = new AbortController();
  let tokens = 0;
  const streamer = {
    put() {
      if (++tokens === 3) controller.abort();
    },
    end() {},
  };
  const input = { input_ids: [[1, 2, 3]] };
  const options = { max_new_tokens: 1000, eos_token_id: null, streamer, signal: controller.signal };
  expect(await codeOf(model.generate(input, options))).toBe('ABORTED');
  expect(tokens).toBeLessThan(10);
  const aborted = AbortSignal.abort();
  expect(await codeOf(model.generate(input, { max_new_tokens: 1, signal: aborted }))).toBe('ABORTED');
  expect(await codeOf(AutoModelForCausalLM.from_pretrained(checkpoint.folder, { signal: aborted }))).toBe('ABORTED');
  const { sequences } = await model.generate(input, { max_new_tokens: 2, eos_token_id: null });
  expect(sequences[0]).toHaveLength(5);
});

test('an abort stops a prefill between two layers', async () => {
  // Sixteen layers of about equal cost: after the abort at most the layer under way may run on.
  const deep = randomCheckpoint({ hidden_size: 256, intermediate_size: 512, num_hidden_layers: 16 });
  try {
    await using model = await AutoModelForCausalLM.from_pretrained(deep.folder, { threads: 1 });
    const input = Array.from({ length: 2048 }, (_, i) => i % 96);
    const controller = new AbortController();
    const running = codeOf(model.forward({ input_ids: [input] }, { signal: controller.signal }));
    setImmediate(() => controller.abort());
    expect(await running).toBe('ABORTED');
  } finally {
    deep.remove();
  }
});
