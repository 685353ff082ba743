import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { needsChain, processorChain } from '../../../ts/generation/processors/chain';
import { removeInvalidValues } from '../../../ts/generation/processors/normalization';
import { processorSettings } from '../../../ts/generation/processors/options';
import { kthLargest, largestPlaces } from '../../../ts/generation/processors/selection';
import { failure } from '../failure';
import { failures } from '../goldens/comparison';
import { processorCases, processorsByName, removedPlaces } from '../goldens/processors';
import { goldensFolder } from '../goldens_folder';

const goldens = goldensFolder();
const folders = [
  join(__dirname, '..', '..', 'fixtures', 'processors'),
  ...(goldens ? [join(goldens, 'processors')] : []),
];

describe.each(folders.filter((folder) => existsSync(folder)))("Hugging Face's results in %s", (folder) => {
  const cases = processorCases(folder);

  it.each(cases.map((one) => [one.name, one] as const))('%s', (_, { compare }) => {
    expect(failures(compare())).toEqual([]);
  });

  it('are of every processor', () => {
    const named = cases.flatMap(({ processors }) => processors);
    const known = Object.keys(processorsByName);
    expect(known.filter((name) => !named.includes(name) && name !== 'InfNanRemoveLogitsProcessor')).toEqual([]);
  });
});

describe('the chain of an option set', () => {
  const settings = (options: Record<string, unknown>, doSample = false) =>
    processorSettings('generate()', (name) => options[name] ?? undefined, doSample);
  const context = {
    promptLength: 3,
    encoderIds: [1, 2, 3],
    maxLength: 10,
    eosTokenIds: [0],
    vocabularySize: 8,
    leastTokens: 1,
  };
  const run = (options: Record<string, unknown>, ids: readonly number[], doSample = false, leastTokens = 1) => {
    const scores = Float32Array.from([0.5, 2, -1, 3, 1, 0, -2, 2.5]);
    processorChain(settings(options, doSample), { ...context, leastTokens })(ids, scores);
    return scores;
  };

  it('is needed for what the native sampler does not do', () => {
    const native = { repetition_penalty: 2, min_length: 4, min_new_tokens: 2, top_k: 3, top_p: 0.5, min_p: 0.1 };
    expect(needsChain(settings({ ...native, temperature: 0.5 }, true))).toBe(false);
    expect(needsChain(settings({ typical_p: 0.5, top_h: 0.5, eta_cutoff: 0.1 }))).toBe(false); // greedy: without effect
    expect(needsChain(settings({ typical_p: 0.5 }, true))).toBe(true);
    expect(needsChain(settings({ no_repeat_ngram_size: 2 }))).toBe(true);
    expect(needsChain(settings({ suppress_tokens: [] }))).toBe(false);
  });

  it('runs own functions after the penalties and before the temperature', () => {
    const seen: number[][] = [];
    const own = (ids: readonly number[], scores: Float32Array) => {
      seen.push([...ids], [...scores]);
      return scores.map((score) => score + 1);
    };
    const scores = run({ suppress_tokens: [1], logitsProcessors: [own], temperature: 2, top_k: 0 }, [1, 2, 3], true);
    expect(seen[0]).toEqual([1, 2, 3]);
    expect(seen[1]?.slice(0, 3)).toEqual([0.5, Number.NEGATIVE_INFINITY, -1]);
    expect([...scores.slice(0, 3)]).toEqual([0.75, Number.NEGATIVE_INFINITY, 0]);
  });

  it('keeps the least number of tokens', () => {
    for (const option of [
      { top_k: 1 },
      { top_p: 0.01, top_k: 0 },
      { min_p: 1, top_k: 0 },
      { epsilon_cutoff: 0.9, top_k: 0 },
    ]) {
      const finite = [...run(option, [1, 2, 3], true, 3)].filter((score) => score > Number.NEGATIVE_INFINITY);
      expect(finite).toEqual([2, 3, 2.5]);
    }
  });

  it('forces and suppresses at the places that are meant', () => {
    expect(removedPlaces(run({ begin_suppress_tokens: [3, 99] }, [1, 2, 3]))).toEqual([3]);
    expect(removedPlaces(run({ begin_suppress_tokens: [3] }, [1, 2, 3, 4]))).toEqual([]);
    expect(removedPlaces(run({ forced_eos_token_id: [0, 5] }, [1, 2, 3, 4, 5, 6, 7, 1, 2]))).toEqual([
      1, 2, 3, 4, 6, 7,
    ]);
    expect(removedPlaces(run({ min_new_tokens: 2 }, [1, 2, 3, 4]))).toEqual([0]);
    expect(removedPlaces(run({ min_length: 5 }, [1, 2, 3, 4, 5]))).toEqual([]);
  });

  it.each([
    [{ sequence_bias: [[[9], 1]] }, "'sequence_bias' of generate() has the id 9"],
    [{ forced_eos_token_id: 8 }, 'the vocabulary has 8 tokens'],
    [{ bad_words_ids: [[]] }, "'bad_words_ids'"],
    [{ bad_words_ids: [1] }, "'bad_words_ids'"],
    [{ sequence_bias: { 1: 2 } }, "'sequence_bias'"],
    [{ sequence_bias: [[[1], Number.NaN]] }, "'sequence_bias'"],
    [{ suppress_tokens: [-1] }, "'suppress_tokens'"],
    [{ exponential_decay_length_penalty: [1] }, "'exponential_decay_length_penalty'"],
    [{ no_repeat_ngram_size: 1.5 }, "'no_repeat_ngram_size'"],
    [{ typical_p: 0 }, "'typical_p'"],
    [{ renormalize_logits: 1 }, "'renormalize_logits'"],
    [{ logitsProcessors: [1] }, "'logitsProcessors'"],
    [{ logitsProcessors: [() => new Float32Array(3)] }, 'logitsProcessors[0] returned'],
  ])('refuses %j', (options, message) => {
    const error = failure(() => run(options, [1, 2, 3]));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining(message)]);
  });
});

it('removes NaN and infinities when asked', () => {
  const scores = Float32Array.from([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1]);
  removeInvalidValues()([], scores);
  const largest = 3.4028234663852886e38;
  expect([...scores]).toEqual([0, largest, -largest, 1]);
});

describe('the largest values', () => {
  it.each([0, 1, 2, 7, 99, 100, 150])('%d of a hundred, as a stable sort finds them', (count) => {
    const values = Float32Array.from({ length: 100 }, (_, place) => (place * 37) % 23);
    const sorted = [...values.keys()].sort((left, right) => (values[right] ?? 0) - (values[left] ?? 0));
    expect(largestPlaces(values, count)).toEqual(sorted.slice(0, count));
  });

  it('without NaN, with infinities', () => {
    const values = [Number.NEGATIVE_INFINITY, Number.NaN, 1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    expect(largestPlaces(values, 5)).toEqual([4, 2, 0, 3]);
    expect(kthLargest(values, 2)).toBe(1);
    expect(kthLargest([], 2)).toBe(Number.NEGATIVE_INFINITY);
  });
});
