import { join } from 'node:path';
import { AutoModelForCausalLM, type CausalLanguageModel, type GenerateOptions } from '../../../ts';
import { nativeAddon } from '../../../ts/binding/load';
import { BeamSearch, type BeamSearchOptions } from '../../../ts/generation/beam_search';
import { drawPlaces, uniformDraw } from '../../../ts/generation/random';
import { rejection } from '../failure';
import { GoldenFolder } from '../models/golden_folder';
import { randomCheckpoint, randomNumbers } from '../random_checkpoint';

const golden = new GoldenFolder(join(__dirname, '..', '..', 'fixtures', 'models', 'llama'));
const prompts = golden.golden.batch.map(({ input_ids }) => input_ids);
const [short = []] = prompts;

let model: CausalLanguageModel;
beforeAll(async () => {
  model = await AutoModelForCausalLM.from_pretrained(golden.folder);
});
afterAll(() => model.dispose());

const beams = {
  num_beams: 4,
  num_return_sequences: 2,
  max_new_tokens: 10,
  eos_token_id: [203, 39],
  do_sample: false,
} as const;

it('gives every prompt of a ragged batch what it gets alone, bit for bit', async () => {
  const together = await model.generate({ input_ids: prompts }, beams);
  const alone = await Promise.all(prompts.map((prompt) => model.generate({ input_ids: [prompt] }, beams)));
  expect(together.sequences).toEqual(alone.flatMap(({ sequences }) => sequences));
  expect(together.sequences_scores).toEqual(alone.flatMap(({ sequences_scores }) => sequences_scores));
  expect(together.finishReasons).toEqual(alone.flatMap(({ finishReasons }) => finishReasons));
});

it('scores a sequence by its log-probability, which its scores and beam_indices add up to', async () => {
  const options = {
    ...beams,
    output_scores: true,
    output_logits: true,
    length_penalty: 0.5,
    early_stopping: true,
  } as const;
  const found = await model.generate({ input_ids: prompts }, options);
  expect(found.scores?.every((step) => step.length === prompts.length * 4)).toBe(true);
  for (const [index, ids] of found.sequences.entries()) {
    const prompt = prompts[Math.floor(index / 2)] ?? [];
    const tokens = ids.slice(prompt.length);
    const indices = found.beam_indices?.[index] ?? [];
    expect(indices).toHaveLength(tokens.length);
    const sum = tokens.reduce(
      (total, id, step) => total + (found.scores?.[step]?.[indices[step] ?? -1]?.[id] ?? Number.NaN),
      0,
    );
    expect(sum / tokens.length ** 0.5).toBeCloseTo(found.sequences_scores?.[index] ?? 0, 6);
    // And it is what the model says of the whole sequence, within float32's steps of ten sums.
    const { logits } = await model.forward({ input_ids: [ids] });
    const columns = logits[0]?.dims[1] ?? 0;
    const whole = tokens.reduce((total, id, step) => {
      const row = (logits[0]?.data ?? new Float32Array()).subarray(
        (prompt.length + step - 1) * columns,
        (prompt.length + step) * columns,
      );
      return total + (row[id] ?? 0) - Math.log(row.reduce((add, value) => add + Math.exp(value), 0));
    }, 0);
    expect(whole).toBeCloseTo(sum, 4);
  }
});

describe('gives the same sequences and scores whether the runtime sends the likeliest tokens or the scores of all', () => {
  const sameEitherWay = async (options: GenerateOptions, input: readonly (readonly number[])[] = prompts) => {
    const asked = { ...beams, num_return_sequences: 4, ...options };
    const few = await model.generate({ input_ids: input }, asked);
    // Both ask for the scores of all tokens: the caller, and a processor of the caller's own that leaves them.
    const scored = await model.generate({ input_ids: input }, { ...asked, output_scores: true });
    const own = await model.generate({ input_ids: input }, { ...asked, logitsProcessors: [() => undefined] });
    expect(scored.scores?.[0]?.[0]).toHaveLength(model.vocabularySize);
    for (const all of [scored, own]) {
      expect(all.sequences).toEqual(few.sequences);
      expect(all.sequences_scores).toEqual(few.sequences_scores);
      expect(all.finishReasons).toEqual(few.finishReasons);
    }
    return few;
  };

  it.each<GenerateOptions>([
    {},
    { num_beams: 9, length_penalty: 0, early_stopping: 'never' },
    { num_beams: 2, num_return_sequences: 2, output_logits: true },
    { repetition_penalty: 1.7 },
    { repetition_penalty: 0.6 },
    { no_repeat_ngram_size: 1 },
    { no_repeat_ngram_size: 2, encoder_no_repeat_ngram_size: 2 },
    { bad_words_ids: [[203], [7, 8], [39]], min_new_tokens: 4 },
    { forced_eos_token_id: [203, 39], suppress_tokens: [5, 6, 7], begin_suppress_tokens: [11] },
    { exponential_decay_length_penalty: [3, 1.4] },
    {
      sequence_bias: [
        [[17], -3.5],
        [[4, 4], -1],
      ],
    },
    { sequence_bias: [[[17], 2.5]] },
    { renormalize_logits: true, bad_words_ids: [[100]] },
  ])('%j', async (options) => {
    await sameEitherWay(options);
  });

  it('begins with a forced token, and goes on where less tokens are left than there are candidates', async () => {
    const all = Array.from({ length: model.vocabularySize }, (_, id) => id);
    const forced = await sameEitherWay({ forced_bos_token_id: 9, eos_token_id: null }, [[3]]);
    expect(forced.sequences.map((ids) => ids[1])).toContain(9);
    for (const left of [1, 3, 12]) {
      const suppress_tokens = all.slice(40, model.vocabularySize - left);
      const banned = all.slice(0, 40).map((id) => [id]);
      const { sequences } = await sameEitherWay({ suppress_tokens, bad_words_ids: banned, eos_token_id: null });
      const [first = []] = sequences;
      const made = first.slice(short.length);
      expect(made.every((id) => id >= model.vocabularySize - left)).toBe(true);
    }
  });
});

it('shares pages: 8 beams over 1,000 tokens take the pages that differ, not eight caches', async () => {
  const { folder, remove } = randomCheckpoint({ max_position_embeddings: 2048 });
  await using random = await AutoModelForCausalLM.from_pretrained(folder);
  remove();
  const next = randomNumbers(3);
  const prompt = Array.from({ length: 1000 }, () => 3 + Math.floor(((next() + 1) / 2) * 90));
  using one = random.createCache();
  await random.forward({ input_ids: [prompt], past: one, logits_to_keep: 1 });
  const single = one.bytes;
  one.dispose();
  // The largest memory of all steps: asked by a criterion, which every step calls.
  let most = 0;
  const look = () => {
    most = Math.max(most, random.memoryFootprint().cache);
    return false;
  };
  const options = { num_beams: 8, max_new_tokens: 40, eos_token_id: null, do_sample: false } as const;
  const { sequences } = await random.generate({ input_ids: [prompt] }, { ...options, stoppingCriteria: [look] });
  expect(sequences[0]).toHaveLength(1040);
  // A page has 32 tokens. Beams share 31 pages; each has its own of the page in which the prompt ends, and of the one behind it.
  const page = single / 32;
  console.log(
    `one cache of 1,000 tokens: ${single} bytes; 8 beams with 40 new tokens: ${most} bytes (${(most / single).toFixed(2)} times, not 8)`,
  );
  expect(most).toBeGreaterThan(single);
  expect(most).toBeLessThanOrEqual((31 + 8 * 2) * page);
});

it('reads a past cache and leaves it with the prompt', async () => {
  const prompt = golden.ids('single');
  const expected = await model.generate({ input_ids: [prompt] }, beams);
  using past = model.createCache();
  await model.forward({ input_ids: [prompt.slice(0, 9)], past });
  const found = await model.generate({ input_ids: [prompt], past }, beams);
  expect(found.sequences).toEqual(expected.sequences);
  expect(found.statistics.promptTokens).toBe(prompt.length - 9);
  expect(past.length).toBe(prompt.length);
});

it('leaves no cache behind, whether it ends, fails or is aborted', async () => {
  const before = () => model.memoryFootprint().cache;
  await model.generate({ input_ids: prompts }, beams);
  const pages = before();
  const fails = () => {
    throw new Error('own error');
  };
  await expect(model.generate({ input_ids: prompts }, { ...beams, logitsProcessors: [fails] })).rejects.toThrow(
    'own error',
  );
  const controller = new AbortController();
  const stop = () => {
    controller.abort();
    return false;
  };
  const aborted = await rejection(
    model.generate({ input_ids: prompts }, { ...beams, stoppingCriteria: [stop], signal: controller.signal }),
  );
  expect(aborted.code).toBe('ABORTED');
  await model.generate({ input_ids: prompts }, beams);
  expect(before()).toBe(pages); // freed pages were used again
});

it('computes caches anew where longrope changes its frequencies', async () => {
  const folder = new GoldenFolder(join(__dirname, '..', '..', 'fixtures', 'models', 'phi3-longrope'));
  await using phi3 = await AutoModelForCausalLM.from_pretrained(folder.folder);
  const prompt = folder.ids('single');
  const options = {
    num_beams: 2,
    max_new_tokens: 36,
    eos_token_id: null,
    do_sample: false,
    output_scores: true,
  } as const;
  const { sequences, scores, beam_indices } = await phi3.generate({ input_ids: [prompt] }, options);
  const ids = sequences[0] ?? [];
  expect(prompt.length).toBeLessThan(48);
  expect(ids.length).toBeGreaterThan(48);
  // The scores of every step are those of the whole sequence, run without a cache.
  for (const length of [prompt.length + 1, 48, 49, 50, ids.length - 1]) {
    const { logits } = await phi3.forward({ input_ids: [ids.slice(0, length)], logits_to_keep: 1 });
    const row = logits[0]?.data ?? new Float32Array();
    const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
    const step = length - prompt.length;
    const found = scores?.[step]?.[beam_indices?.[0]?.[step] ?? -1]?.[ids[length] ?? -1] ?? Number.NaN;
    expect(found).toBeCloseTo((row[ids[length] ?? -1] ?? 0) - total, 4);
  }
});

describe('with do_sample', () => {
  const drawn: GenerateOptions = { ...beams, do_sample: true, temperature: 1.5, eos_token_id: null };

  it('draws: repeatable with a seed, in a batch as alone, and otherwise with another', async () => {
    const [first, again, other] = await Promise.all(
      [5, 5, 6].map((seed) => model.generate({ input_ids: [short] }, { ...drawn, seed })),
    );
    expect(again?.sequences).toEqual(first?.sequences);
    expect(other?.sequences).not.toEqual(first?.sequences);
    const batch = await model.generate({ input_ids: prompts }, { ...drawn, seed: 5 });
    expect(batch.sequences.slice(0, 2)).toEqual(first?.sequences);
  });

  it("draws from the distribution: the numbers are the native sampler's, each place as often as its weight says", () => {
    const { Sampler } = nativeAddon();
    const options = {
      do_sample: true,
      temperature: 1,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      repetition_penalty: 1,
      min_new_tokens: 0,
    };
    const none = new Int32Array();
    for (const seed of [0n, 7n, 2n ** 64n - 1n]) {
      const sampler = new Sampler({ ...options, seed, eos_token_ids: none, prompt_ids: none });
      const found = Array.from({ length: 40 }, () => sampler.sample(new Float32Array(1000)));
      expect(found).toEqual(Array.from({ length: 40 }, (_, draw) => Math.floor(uniformDraw(seed, draw) * 1000)));
    }
    const counts = [0, 0, 0, 0];
    for (let draw = 0; draw < 4000; draw++) {
      const [place = 0, second = 0, third, fourth] = drawPlaces(Float64Array.of(1, 0, 2, 5), 4, () =>
        uniformDraw(3n, draw),
      );
      counts[place] = (counts[place] ?? 0) + 1;
      expect([place, second, third].sort()).toEqual([0, 2, 3]);
      expect(fourth).toBeUndefined();
    }
    // 4,000 draws of probability p have a standard deviation of sqrt(4000 p (1 - p)) <= 32; four of them.
    for (const [place, weight] of [1, 0, 2, 5].entries()) {
      expect(Math.abs((counts[place] ?? 0) - 500 * weight)).toBeLessThan(4 * 32);
    }
  });
});

describe('the search itself', () => {
  const base: BeamSearchOptions = {
    numBeams: 3,
    lengthPenalty: 0,
    earlyStopping: 'never',
    newTokens: 4,
    endings: 0,
    finish: (ids) => (ids.length >= 5 ? 'length' : undefined),
  };
  /** Log-probabilities of a token after a sequence, from nowhere in particular. */
  const rowAfter = (ids: readonly number[], columns: number): Float32Array => {
    const next = randomNumbers(ids.reduce((seed, id) => (seed * 31 + id + 7) % 1_000_003, 1));
    for (let skipped = 0; skipped < 8; skipped++) next();
    const logits = Float32Array.from({ length: columns }, () => 2 * next());
    const total = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
    return logits.map((value) => value - total);
  };
  const run = (options: BeamSearchOptions, columns: number) => {
    const search = new BeamSearch([0], options);
    while (!search.done) search.advance(search.beams.map(({ ids }) => rowAfter(ids, columns)));
    return search.hypotheses;
  };
  /** Every sequence of four tokens with its score, the best first. */
  const all = (columns: number) => {
    let sequences: { ids: number[]; score: number }[] = [{ ids: [0], score: 0 }];
    for (let step = 0; step < 4; step++) {
      sequences = sequences.flatMap(({ ids, score }) =>
        [...rowAfter(ids, columns)].map((value, token) => ({ ids: [...ids, token], score: score + value })),
      );
    }
    return sequences.sort((left, right) => right.score - left.score);
  };

  it('finds what a search of everything finds, with beams enough', () => {
    const found = run({ ...base, numBeams: 27 }, 3);
    const best = all(3).slice(0, 27);
    expect(found.slice(0, 5).map(({ ids }) => ids)).toEqual(best.slice(0, 5).map(({ ids }) => ids));
    expect(found[0]?.score).toBeCloseTo(best[0]?.score ?? 0, 6);
    expect(found.every(({ finish }) => finish === 'length')).toBe(true);
  });

  it('goes on when only some tokens are possible, fewer than there are beams', () => {
    const search = new BeamSearch([0], base);
    while (!search.done) {
      search.advance(search.beams.map(() => Float32Array.of(Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY)));
    }
    expect(search.hypotheses[0]).toMatchObject({ ids: [0, 1, 1, 1, 1], score: 0, finish: 'length' });
    // The others are the same, as in Python, with a score that says that they are not to be taken.
    for (const { ids, score } of search.hypotheses.slice(1)) {
      expect([ids, score < -1e8]).toEqual([[0, 1, 1, 1, 1], true]);
    }
  });
});

it('fails when processors leave no token', async () => {
  const nothing = (_: readonly number[], scores: Float32Array) => scores.fill(Number.NEGATIVE_INFINITY);
  const error = await rejection(model.generate({ input_ids: [short] }, { ...beams, logitsProcessors: [nothing] }));
  expect([error.code, error.message]).toEqual(['INTERNAL', expect.stringContaining('no token')]);
  const broken = (_: readonly number[], scores: Float32Array) => scores.fill(Number.NaN);
  const found = await rejection(model.generate({ input_ids: [short] }, { ...beams, logitsProcessors: [broken] }));
  expect([found.code, found.message]).toEqual(['INTERNAL', expect.stringContaining('is NaN')]);
});

describe('wrong options', () => {
  it.each([
    [{ num_beams: 0 }, 'INVALID_ARGUMENT', "'num_beams'"],
    [{ num_beams: 2, num_return_sequences: 3 }, 'INVALID_ARGUMENT', 'num_return_sequences is 3'],
    [{ num_beams: 2, early_stopping: 'always' }, 'INVALID_ARGUMENT', "'early_stopping'"],
    [{ num_beams: 2, length_penalty: Number.NaN }, 'INVALID_ARGUMENT', "'length_penalty'"],
    [{ num_beams: 2, prompt_lookup_num_tokens: 3 }, 'INVALID_ARGUMENT', 'prompt_lookup_num_tokens'],
    [{ num_beams: 2, streamer: { put() {}, end() {} } }, 'INVALID_ARGUMENT', 'streamer'],
    [{ num_beams: 4, num_beam_groups: 2 }, 'UNSUPPORTED_OPTION', 'num_beam_groups'],
    [{ num_beams: 4, bad_words_ids: [[100000]] }, 'INVALID_ARGUMENT', '100000'],
  ])('%j', async (options, code, message) => {
    const error = await rejection(
      model.generate({ input_ids: [short] }, { ...beams, num_return_sequences: 1, ...options } as object),
    );
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
  });
});
