import { addon, failure, greedy, load, request } from './tiny_program';

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
