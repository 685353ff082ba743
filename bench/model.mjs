/**
 * A real model in several engines that are loaded side by side and measured by turns, in one run, on the same weights and the same
 * tokens.
 */
import { Engine } from './engine.mjs';
import { spread } from './statistics.mjs';

const promptTokens = 512;
const longPromptTokens = 8191; // one less than SmolLM2 has positions for
const shortPrompt = 16;
const decodeTokens = 64;
const batchTokens = 32;
const sourceTokens = 32;
const translatedTokens = 32;
const equalSequences = 32;
const equalTokens = 128;
const raggedSequences = 32;
const raggedBatch = 16;
const raggedTokens = { least: 8, most: 256 };

/** Some text's ids are as good as any: the work does not depend on them. Others each time, so that nothing found in a cache helps. */
function ids(count, seed) {
  return Array.from({ length: count }, (_, i) => 1000 + (((i + 1) * 7919 + seed * 104_729) % 20_000));
}

/** Lengths from `least` to `most`, evenly drawn, different in each round: requests as they arrive. */
function raggedLengths(round) {
  let state = round + 1;
  return Array.from({ length: raggedSequences }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return raggedTokens.least + ((state >>> 8) % (raggedTokens.most - raggedTokens.least + 1));
  });
}

const batch = (sequences) => ({
  title: `${sequences} sequences, tokens/s in all`,
  async run(engine, round) {
    const prompts = Array.from({ length: sequences }, (_, i) => ids(shortPrompt, round * sequences + i));
    const { seconds, tokens } = await engine.ask({ task: 'batch', prompts, count: batchTokens });
    if (tokens !== sequences * batchTokens)
      throw new Error(`made ${tokens} tokens in place of ${sequences * batchTokens}`);
    return { rate: tokens / seconds };
  },
});

const prompt = (tokens) => ({
  title: `prompt of ${tokens}, tokens/s`,
  async run(engine, round) {
    const { seconds } = await engine.ask({ task: 'prefill', tokens: ids(tokens, round) });
    return { rate: tokens / seconds };
  },
});

/**
 * Tasks of decoders by name: tokens a second, and what shows that the engine computes the same. The long prompt, most of whose time is attention's, takes
 * ten seconds a round: it is measured only where it is named.
 */
export const decoderTasks = {
  prefill: prompt(promptTokens),
  'prefill-long': { ...prompt(longPromptTokens), onlyNamed: true },
  decode: {
    title: `generated tokens/s`,
    async run(engine, round) {
      const tokens = ids(shortPrompt, round);
      const { seconds, ids: made } = await engine.ask({ task: 'decode', tokens, count: decodeTokens });
      return { rate: decodeTokens / seconds, sample: round === 0 ? { ids: made } : undefined };
    },
  },
  'batch-8': batch(8),
  'batch-32': batch(32),
};

const translation = (sequences, beams) => ({
  title: `${sequences} ${sequences === 1 ? 'text' : 'texts'}${beams > 1 ? `, ${beams} beams` : ''}, tokens/s`,
  async run(engine, round) {
    const sources = Array.from({ length: sequences }, (_, i) => ids(sourceTokens, round * sequences + i));
    const request = { task: 'translate', sources, count: translatedTokens, beams };
    const { seconds, tokens, ids: made } = await engine.ask(request);
    if (tokens !== sequences * translatedTokens)
      throw new Error(`made ${tokens} tokens in place of ${sequences * translatedTokens}`);
    return {
      rate: tokens / seconds,
      sample: round === 0 && beams === 1 && sequences === 1 ? { ids: made } : undefined,
    };
  },
});

/** The same of encoder-decoders. */
export const translationTasks = {
  'greedy-1': translation(1, 1),
  'greedy-8': translation(8, 1),
  'greedy-32': translation(32, 1),
  'beams-1': translation(1, 4),
  'beams-8': translation(8, 4),
  'beams-32': translation(32, 4),
};

/** The same of encoders. */
export const encoderTasks = {
  equal: {
    title: `${equalSequences} x ${equalTokens}, tokens/s`,
    async run(engine, round) {
      const sequences = Array.from({ length: equalSequences }, (_, i) => ids(equalTokens, round * equalSequences + i));
      const { seconds, first } = await engine.ask({ task: 'embed', sequences });
      return {
        rate: (equalSequences * equalTokens) / seconds,
        sample: round === 0 ? { vector: first } : undefined,
      };
    },
  },
  ragged: {
    title: `${raggedTokens.least} to ${raggedTokens.most}, tokens/s`,
    async run(engine, round) {
      const lengths = raggedLengths(round);
      let seconds = 0;
      for (let first = 0; first < lengths.length; first += raggedBatch) {
        const sequences = lengths.slice(first, first + raggedBatch).map((length, i) => ids(length, first + i));
        seconds += (await engine.ask({ task: 'embed', sequences })).seconds;
      }
      return { rate: lengths.reduce((sum, length) => sum + length, 0) / seconds };
    },
  },
};

/**
 * @param {import('./contestants.mjs').Contestant[]} contestants
 * @param {Record<string, { run: (engine: Engine, round: number) => Promise<{ rate: number }> }>} tasks
 * @param {{ threads: number, rounds: number, seconds: number, python: string | null }} options
 *   no round begins after so many seconds
 * @returns what each reached: `rates` by task (spread), seconds to load, peak memory; or the `error` that ended it
 */
export async function measureModel(contestants, tasks, { threads, rounds, seconds: limit, python }) {
  const begun = performance.now();
  const entries = [];
  for (const contestant of contestants) {
    const { name, version, worker, settings } = contestant;
    const entry = { result: { name, version, threads }, rates: {} };
    entries.push(entry);
    await attempt(entry, async () => {
      const model = await contestant.model();
      entry.engine = new Engine(worker, python);
      const { seconds, weightBytes } = await entry.engine.ask({ task: 'load', model, threads, ...settings });
      Object.assign(entry.result, { loadSeconds: seconds, weightBytes });
      process.stderr.write(`${name}: loaded in ${seconds.toFixed(2)} s\n`);
    });
  }
  for (let round = 0; round <= rounds; round++) {
    if (round > 1 && performance.now() - begun > 1000 * limit) break;
    for (const [name, task] of Object.entries(tasks)) {
      for (const entry of entries) {
        await attempt(entry, async () => {
          const { rate, sample } = await task.run(entry.engine, round);
          process.stderr.write(`${entry.result.name}, ${name}: ${rate.toFixed(1)}\n`);
          if (sample) entry.sample = sample;
          if (round === 0) return; // warm-up
          entry.rates[name] ??= [];
          entry.rates[name].push(rate);
        });
      }
    }
  }
  for (const entry of entries) {
    await attempt(entry, async () => {
      entry.result.peakBytes = (await entry.engine.ask({ task: 'memory' })).peakBytes;
    });
    entry.engine?.close();
    entry.result.rates = Object.fromEntries(
      Object.entries(entry.rates).map(([name, values]) => [name, { ...spread(values), values }]),
    );
  }
  const reference = entries.find(({ sample }) => sample)?.sample;
  for (const { sample, result } of entries) if (sample) Object.assign(result, agreement(sample, reference));
  return entries.map(({ result }) => result);
}

/** Shows that an engine computes the same as the first one: tokens that are the same from the beginning on, or the cosine of vectors. */
function agreement({ ids: made, vector }, reference) {
  if (made) {
    const differs = made.findIndex((id, i) => id !== reference.ids[i]);
    return { sameTokens: differs < 0 ? made.length : differs };
  }
  const dot = (one, other) => one.reduce((sum, value, i) => sum + value * other[i], 0);
  const lengths = Math.sqrt(dot(vector, vector) * dot(reference.vector, reference.vector));
  return { cosine: dot(vector, reference.vector) / lengths };
}

/** An engine that fails is out; the others go on. */
async function attempt(entry, work) {
  if (entry.result.error) return;
  try {
    await work();
  } catch (error) {
    entry.result.error = error.message;
    process.stderr.write(`${entry.result.name}: ${error.message}\n`);
  }
}
