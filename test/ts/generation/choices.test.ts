import { join } from 'node:path';
import { AutoModelForCausalLM, type CausalLanguageModel } from '../../../ts';
import { lookUpContinuation } from '../../../ts/generation/prompt_lookup';
import { rejection } from '../failure';
import { GoldenFolder } from '../models/golden_folder';

const fixtures = join(__dirname, '..', '..', 'fixtures', 'models');
const golden = new GoldenFolder(join(fixtures, 'llama'));
const prompts = golden.golden.batch.map(({ input_ids }) => input_ids);
const [short = []] = prompts;

let model: CausalLanguageModel;
beforeAll(async () => {
  model = await AutoModelForCausalLM.from_pretrained(golden.folder);
});
afterAll(() => model.dispose());

const greedy = { do_sample: false, eos_token_id: null, max_new_tokens: 12 } as const;
const sampled = { do_sample: true, eos_token_id: null, max_new_tokens: 12, temperature: 1.3 } as const;
const nothing = () => undefined;

describe('a choice made in JavaScript', () => {
  const native = { temperature: 1.3, top_k: 20, top_p: 0.9, min_p: 0.01, repetition_penalty: 1.2, min_new_tokens: 4 };

  it.each([
    ['greedy', { ...greedy, repetition_penalty: 1.2 }],
    ['sampled', { ...sampled, ...native, seed: 11 }],
    ['sampled from everything', { ...sampled, top_k: 0, seed: 12 }],
    ['sampled with an end', { ...sampled, ...native, eos_token_id: [14, 39, 148], min_length: 9, seed: 13 }],
  ])('is the one that the native sampler makes: %s', async (_, options) => {
    const inside = await model.generate({ input_ids: prompts }, options);
    const outside = await model.generate({ input_ids: prompts }, { ...options, logitsProcessors: [nothing] });
    expect(outside.sequences).toEqual(inside.sequences);
    expect(outside.finishReasons).toEqual(inside.finishReasons);
  });

  it('follows own processors, which see the sequence so far', async () => {
    const seen: number[] = [];
    const only = (ids: readonly number[], scores: Float32Array) => {
      seen.push(ids.length);
      scores.fill(Number.NEGATIVE_INFINITY);
      scores[ids.length] = 0;
    };
    const { sequences } = await model.generate({ input_ids: [short] }, { ...greedy, logitsProcessors: [only] });
    const places = Array.from({ length: 12 }, (_, step) => short.length + step);
    expect(seen).toEqual(places);
    expect(sequences[0]?.slice(short.length)).toEqual(places);
  });

  it('fails when nothing is left, and with what an own processor throws', async () => {
    const all = (_: readonly number[], scores: Float32Array) => scores.fill(Number.NEGATIVE_INFINITY);
    const error = await rejection(model.generate({ input_ids: [short] }, { ...greedy, logitsProcessors: [all] }));
    expect([error.code, error.message]).toEqual(['INTERNAL', expect.stringContaining('no token')]);
    const fails = () => {
      throw new RangeError('own error');
    };
    await expect(model.generate({ input_ids: [short] }, { ...greedy, logitsProcessors: [fails] })).rejects.toThrow(
      'own error',
    );
  });
});

describe('scores and logits', () => {
  it('are given by step and sequence; processors change scores only', async () => {
    const options = { ...greedy, max_new_tokens: 4, suppress_tokens: [5], output_scores: true, output_logits: true };
    const { scores = [], logits = [], sequences } = await model.generate({ input_ids: prompts }, options);
    expect([scores.length, logits.length]).toEqual([4, 4]);
    for (const [index, ids] of sequences.entries()) {
      const prompt = prompts[index]?.length ?? 0;
      const { logits: whole } = await model.forward({ input_ids: [ids] });
      const columns = whole[0]?.dims[1] ?? 0;
      for (let step = 0; step < 4; step++) {
        const expected = whole[0]?.data.slice((prompt + step - 1) * columns, (prompt + step) * columns);
        expect(logits[step]?.[index]).toEqual(expected);
        const [score = new Float32Array()] = [scores[step]?.[index] ?? undefined];
        expect(score[5]).toBe(Number.NEGATIVE_INFINITY);
        expect(score.indexOf(Math.max(...score))).toBe(ids[prompt + step]);
      }
    }
  });

  it('are null after the end of a sequence', async () => {
    const free = await model.generate({ input_ids: prompts }, greedy);
    const end = free.sequences[0]?.[short.length + 1] ?? -1;
    const found = await model.generate({ input_ids: prompts }, { ...greedy, eos_token_id: end, output_scores: true });
    const made = found.sequences.map((ids, index) => ids.length - (prompts[index]?.length ?? 0));
    const rows = prompts.map((_, index) => found.scores?.filter((step) => step[index] !== null).length);
    expect(rows).toEqual(made);
    expect(new Set(made).size).toBeGreaterThan(1);
  });
});

describe('several sequences of a prompt', () => {
  it('stand one after another, each drawn with seed + its number, as it would be alone', async () => {
    const options = { ...sampled, num_return_sequences: 3 };
    const { sequences, finishReasons } = await model.generate({ input_ids: prompts }, { ...options, seed: 20 });
    expect(sequences).toHaveLength(prompts.length * 3);
    expect(finishReasons).toHaveLength(prompts.length * 3);
    for (const [index, prompt] of prompts.entries()) {
      for (const copy of [0, 1, 2]) {
        const alone = await model.generate({ input_ids: [prompt] }, { ...sampled, seed: 20 + copy });
        expect(sequences[3 * index + copy]).toEqual(alone.sequences[0]);
      }
    }
    const seeds = prompts.flatMap(() => [20, 21, 22]);
    expect((await model.generate({ input_ids: prompts }, { ...options, seed: seeds })).sequences).toEqual(sequences);
    const own = { ...options, seed: 20, logitsProcessors: [nothing] };
    expect((await model.generate({ input_ids: prompts }, own)).sequences).toEqual(sequences);
  });

  it('compute the prompt once, in the cache that was given', async () => {
    const prompt = golden.ids('single');
    using past = model.createCache();
    await model.forward({ input_ids: [prompt.slice(0, 5)], past });
    const options = { ...sampled, seed: 4, num_return_sequences: 4 };
    const { statistics, sequences } = await model.generate({ input_ids: [prompt], past }, options);
    expect(statistics.promptTokens).toBe(prompt.length - 5);
    expect(statistics.newTokens).toBe(4 * 12);
    expect(past.length).toBe(prompt.length + 11);
    expect(sequences).toEqual((await model.generate({ input_ids: [prompt] }, options)).sequences);
  });

  it('need draws or beams', async () => {
    const error = await rejection(model.generate({ input_ids: [short] }, { ...greedy, num_return_sequences: 2 }));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('do_sample: true')]);
  });
});

it('own stopping criteria end the sequence for which they say so', async () => {
  const asked: number[][] = [];
  const stop = (ids: readonly number[]) => {
    asked.push([...ids]);
    return ids.length === short.length + 3;
  };
  const { sequences, finishReasons } = await model.generate(
    { input_ids: [short] },
    { ...greedy, stoppingCriteria: [stop] },
  );
  expect(finishReasons).toEqual(['stopping_criteria']);
  expect(asked.map((ids) => ids.length - short.length)).toEqual([1, 2, 3]);
  expect(asked.at(-1)).toEqual(sequences[0]);
  const error = await rejection(model.generate({ input_ids: [short] }, { ...greedy, stoppingCriteria: [3] } as object));
  expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining("'stoppingCriteria'")]);
});

describe('prompt lookup', () => {
  // A text that repeats itself, with the tokens the model says next in it, so that guesses are right and wrong.
  const repeating = [...short, ...short, ...short];
  const inputs = [repeating, golden.ids('single'), [7]];

  it.each([1, 2, 3, 10])(
    'of %d tokens gives what greedy search gives, in a ragged batch',
    async (prompt_lookup_num_tokens) => {
      const options = { ...greedy, max_new_tokens: 40 };
      const { sequences } = await model.generate({ input_ids: inputs }, options);
      const guided = await model.generate({ input_ids: inputs }, { ...options, prompt_lookup_num_tokens });
      expect(guided.sequences).toEqual(sequences);
      expect(guided.statistics.guessedTokens).toBeGreaterThan(0);
      expect(guided.statistics.acceptedTokens).toBeLessThanOrEqual(guided.statistics.guessedTokens);
      expect(guided.statistics.newTokens).toBe(3 * 40);
    },
  );

  it('accepts what is right: a text that is forced to repeat itself takes few runs', async () => {
    // The next token is the one five places before.
    const repeat = (ids: readonly number[], scores: Float32Array) => {
      scores[ids.at(-5) ?? 0] = 1000;
    };
    let runs = 0;
    const options = { ...greedy, max_new_tokens: 40, logitsProcessors: [repeat] };
    const streamer = { put: () => runs++, end: nothing };
    const lookup = { prompt_lookup_num_tokens: 4, streamer };
    const prompt = [11, 12, 13, 14, 15, 11, 12];
    const { sequences, statistics } = await model.generate({ input_ids: [prompt] }, { ...options, ...lookup });
    expect(sequences).toEqual((await model.generate({ input_ids: [prompt] }, options)).sequences);
    // The first run reads the prompt, the others check 4 guesses and give 5 tokens; the last one has no more room.
    expect([statistics.guessedTokens, statistics.acceptedTokens]).toEqual([31, 31]);
    expect(runs - 1).toBe(1 + 8);
  });

  it('draws the same tokens with a seed as without lookup', async () => {
    const options = {
      ...sampled,
      max_new_tokens: 30,
      top_k: 3,
      seed: 2,
      repetition_penalty: 0.7,
      num_return_sequences: 2,
    };
    const { sequences } = await model.generate({ input_ids: inputs }, options);
    const guided = await model.generate({ input_ids: inputs }, { ...options, prompt_lookup_num_tokens: 4 });
    expect(guided.sequences).toEqual(sequences);
    expect(guided.statistics.guessedTokens).toBeGreaterThan(0);
  });

  it('leaves a cache of the caller with all tokens but the last', async () => {
    using past = model.createCache();
    const options = { ...greedy, max_new_tokens: 20, prompt_lookup_num_tokens: 6 };
    await model.generate({ input_ids: [repeating], past }, options);
    expect(past.length).toBe(repeating.length + 19);
  });

  it('finds the first place of the longest n-gram, and stops before an end', () => {
    const ids = [1, 2, 3, 9, 2, 4, 1, 2];
    expect(lookUpContinuation(ids, 2, 3, [])).toEqual([3, 9, 2]);
    expect(lookUpContinuation(ids, 2, 3, [9])).toEqual([3]);
    expect(lookUpContinuation(ids, 1, 1, [])).toEqual([3]);
    expect(lookUpContinuation(ids, 2, 0, [])).toEqual([]);
    expect(lookUpContinuation([5], 2, 3, [])).toEqual([]);
    expect(lookUpContinuation([5, 6], 2, 3, [])).toEqual([]);
    expect(lookUpContinuation([5, 5], 2, 3, [])).toEqual([5]);
  });

  it('is refused where rotary frequencies depend on the length', async () => {
    await using phi3 = await AutoModelForCausalLM.from_pretrained(join(fixtures, 'phi3-longrope'));
    const error = await rejection(phi3.generate({ input_ids: [[1, 2]] }, { ...greedy, prompt_lookup_num_tokens: 3 }));
    expect(error.code).toBe('UNSUPPORTED_OPTION');
  });
});
