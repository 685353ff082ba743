import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { logSoftmaxInPlace } from '../../../ts/generation/processors/probabilities';
import { largestPlaces } from '../../../ts/generation/processors/selection';
import { safetensorsBytes } from '../random_checkpoint';
import { addon, failure, folder, greedy, load, request, tiny, vocabulary } from './tiny_program';

const ids = [3, 1, 4, 1, 5];

test('log-probabilities are those of the logits, and the likeliest ones are among them', async () => {
  const model = await load();
  const { outputs, log_probabilities, likeliest } = await model.run(request([ids], { log_probabilities: 0 }));
  expect(likeliest).toBeUndefined();
  const scores = log_probabilities ?? new Float32Array();
  for (let row = 0; row < ids.length; row++) {
    const logits = (outputs.logits ?? new Float32Array()).slice(row * vocabulary, (row + 1) * vocabulary);
    logSoftmaxInPlace(logits);
    // Two roundings to float32: the native sum of exponentials takes them as such (native/cpu/log_probabilities.h).
    for (const [token, score] of logits.entries()) {
      const found = scores[row * vocabulary + token] ?? Number.NaN;
      expect(Math.abs(found - score)).toBeLessThanOrEqual(Math.abs(score) * 2 ** -22);
    }
  }
  for (const count of [1, 3, vocabulary, 1000]) {
    const best = await model.run(request([ids], { log_probabilities: count, outputs: [] }));
    const expected = ids.map((_, row) => {
      const all = scores.subarray(row * vocabulary, (row + 1) * vocabulary);
      return largestPlaces(all, count).map((token) => [token, all[token]]);
    });
    const found = [...(best.likeliest ?? [])].map((token, place) => [token, best.log_probabilities?.[place]]);
    expect(found).toEqual(expected.flat());
  }
  model.dispose();
});

test('a score that is NaN fails by its token where the likeliest are asked for', async () => {
  const file = path.join(folder, 'overflow.safetensors');
  // Logits beyond what float32 holds: infinities of both signs.
  writeFileSync(
    file,
    safetensorsBytes(
      tiny.tensors.map((tensor) => ({
        ...tensor,
        data: tensor.data.map((value) => value * (tensor.name === 'head' || tensor.name === 'embed' ? 1e25 : 0)),
      })),
    ),
  );
  const checkpoint = await addon.openCheckpoint([file]);
  const options = { threads: 1, isa: '' };
  const model = await addon.loadModel(checkpoint, JSON.stringify(tiny.program), options, null, null);
  checkpoint.dispose();
  const { log_probabilities } = await model.run(request([[3]], { log_probabilities: 0 }));
  const token = log_probabilities?.findIndex(Number.isNaN) ?? -1;
  expect(token).toBeGreaterThanOrEqual(0);
  expect(await failure(() => model.run(request([[3]], { log_probabilities: 4 })))).toEqual({
    code: 'INTERNAL',
    message: expect.stringContaining(`the score of token ${token} is NaN`),
  });
  model.dispose();
});

test('what is not a number of tokens is refused', async () => {
  const model = await load();
  for (const log_probabilities of [-1, 0.5, Number.NaN]) {
    expect(await failure(() => model.run(request([ids], { log_probabilities })))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('log_probabilities'),
    });
  }
  const steps = { most: 2, last_ids: new Int32Array() };
  const samplers = [new addon.Sampler(greedy)];
  const cache = model.createCache();
  const asked = { rows: Int32Array.of(0), caches: [cache], outputs: [], samplers, steps, log_probabilities: 1 };
  expect(await failure(() => model.run(request([[3]], asked)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  model.dispose();
});
