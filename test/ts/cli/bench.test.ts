import { AutoModel, AutoModelForCausalLM } from '../../../ts';
import { type Benchmark, benchmark } from '../../../ts/cli/benchmark';
import { fixture, runCli } from './run_cli';

// Every test starts processes of its own, and the machine may be busy.
jest.setTimeout(60_000);

const rounds = 3;

async function measured(model: string, ...given: string[]): Promise<Benchmark> {
  const { status, stdout, stderr } = await runCli([
    ...['bench', '-m', fixture('models', model), '--rounds', String(rounds), '--threads', '2', '--json'],
    ...given,
  ]);
  expect([status, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Benchmark;
}

/** What must hold whatever the machine does meanwhile. */
function expectPlausible({ measures, peak_memory, weight_bytes, model_bytes, load_seconds, ...more }: Benchmark) {
  for (const { tokens_per_second: found, tokens } of measures) {
    expect(found.least).toBeGreaterThan(0);
    expect(found.median).toBeGreaterThanOrEqual(found.least);
    expect(found.most).toBeGreaterThanOrEqual(found.median);
    expect(tokens).toBeGreaterThan(0);
  }
  expect(load_seconds).toBeGreaterThan(0);
  expect(model_bytes).toBeGreaterThanOrEqual(weight_bytes);
  expect(peak_memory).toBeGreaterThan(model_bytes);
  // A hundredth of what the slowest machine of today reads, and a hundred times what the fastest does.
  expect(more.memory_bytes_per_second).toBeGreaterThan(1e7);
  expect(more.memory_bytes_per_second).toBeLessThan(1e14);
  expect(more.threads).toBe(2);
}

test('a decoder: prompt, generation, batches, and the fraction of the memory that follows from them', async () => {
  const found = await measured('llama', '--quantization', 'int8', '--kv-cache', 'int8');
  expectPlausible(found);
  expect(found.task).toBe('decoder');
  expect(found.measures.map(({ name, sequences }) => [name, sequences])).toEqual([
    ['prefill', 1],
    ['decode', 1],
    ['decode 8 sequences', 8],
    ['decode 32 sequences', 32],
  ]);
  await using model = await AutoModelForCausalLM.from_pretrained(fixture('models', 'llama'), { quantization: 'int8' });
  expect(found.weight_bytes).toBe(model.memoryFootprint().weights);
  const { bytes_per_token: bytes } = found;
  // Without the embeddings (where the head has a table of its own) and norms.
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThan(found.weight_bytes);
  const fractions = found.measures.map(({ fraction_of_memory: fraction }) => fraction);
  const decode = found.measures[1]?.tokens_per_second.median ?? 0;
  expect(fractions).toEqual([undefined, (decode * (bytes ?? 0)) / found.memory_bytes_per_second, undefined, undefined]);
  const limit = model.config.max_position_embeddings as number;
  for (const { tokens, new_tokens } of found.measures) expect(tokens + new_tokens).toBeLessThanOrEqual(limit);
});

test('experts are chosen by token, so that no fraction of the memory is told; prompts of several lengths', async () => {
  const found = await measured('mixtral', '--prompts', '5,9');
  expectPlausible(found);
  const prompts = found.measures.filter(({ name }) => name === 'prefill');
  expect(prompts.map(({ tokens, new_tokens }) => [tokens, new_tokens])).toEqual([
    [5, 0],
    [9, 0],
  ]);
  expect(found.bytes_per_token).toBeNull();
  expect(found.measures.every(({ fraction_of_memory: fraction }) => fraction === undefined)).toBe(true);
});

test('an encoder: equal and mixed lengths', async () => {
  const found = await measured('bert');
  expectPlausible(found);
  expect([found.task, ...found.measures.map(({ name }) => name)]).toEqual(['encoder', 'equal', 'ragged']);
  await using model = await AutoModel.from_pretrained(fixture('models', 'bert'));
  expect(found.weight_bytes).toBe(model.memoryFootprint().weights);
});

test('an encoder-decoder: generation and batches', async () => {
  const found = await measured('t5');
  expectPlausible(found);
  expect([found.task, found.measures.length]).toEqual(['encoder-decoder', 3]);
});

test('an abort ends it', async () => {
  const controller = new AbortController();
  const seen: string[] = [];
  const running = benchmark(fixture('models', 'llama'), {
    rounds: 1000,
    load: {},
    signal: controller.signal,
    onMeasure(name, round) {
      seen.push(`${name} ${round}`);
      if (round === 1) controller.abort();
    },
  });
  await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
  expect(seen.at(-1)).toBe('prefill 1');
});

test('the table, and wrong usage', async () => {
  const given = ['bench', '-m', fixture('models', 'llama')];
  const shown = await runCli([...given, '--rounds', '1']);
  expect([shown.status, shown.stderr]).toEqual([0, '']);
  expect(shown.stdout).toMatch(/^measured +sequences +tokens of each +tokens\/s +\(least to most\) +of the memory$/m);
  expect(shown.stdout).toMatch(/^decode +1 +\d+ \+ \d+ +[\d.,]+ .*\d %$/m);
  expect(shown.stdout).toMatch(/^loaded in .* \| weights .* \| model .* \| peak memory of the process /m);

  expect(await runCli([...given, '--rounds', '0'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('--rounds must be 1 to 1000, not 0'),
  });
  expect(await runCli([...given, '--prompts', '512,0'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("not '0'"),
  });
  expect(await runCli(['bench'])).toMatchObject({ status: 2, stderr: expect.stringContaining('--model is missing') });
  expect(await runCli([...given, 'words'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("no operand, but got 'words'"),
  });
});
