/**
 * The real model: prompt tokens/s and generated tokens/s of octoformer and of its peers, measured by turns in one run on the
 * same weights and the same tokens.
 */
import { Engine } from './engine.mjs';
import { spread } from './statistics.mjs';

const promptTokens = 512;
const decodePrompt = 16;
const decodeTokens = 64;
const context = promptTokens + decodeTokens;

/** Some text's ids are as good as any: the work does not depend on them. */
const ids = Array.from({ length: promptTokens }, (_, i) => 1000 + ((i * 7919) % 20000));

/**
 * @typedef {{ name: string, worker: string, model: string, dtype?: string }} Contestant
 * @param {Contestant[]} contestants
 * @param {{ threads: number, rounds: number, environment: Record<string, string> }} options
 */
export async function measureModel(contestants, { threads, rounds, environment }) {
  const entries = [];
  for (const contestant of contestants) {
    const engine = new Engine(contestant.worker, environment);
    const { seconds } = await engine.ask({
      task: 'load',
      model: contestant.model,
      dtype: contestant.dtype,
      threads,
      context,
    });
    entries.push({ contestant, engine, loadSeconds: seconds, prefill: [], decode: [] });
  }
  for (let round = 0; round <= rounds; round++) {
    for (const { engine, prefill, decode } of entries) {
      const read = await engine.ask({ task: 'prefill', tokens: ids });
      const generated = await engine.ask({ task: 'decode', tokens: ids.slice(0, decodePrompt), count: decodeTokens });
      if (round === 0) continue; // warm-up
      prefill.push(promptTokens / read.seconds);
      decode.push(decodeTokens / generated.seconds);
    }
  }
  const results = [];
  for (const { contestant, engine, loadSeconds, prefill, decode } of entries) {
    const { peakBytes } = await engine.ask({ task: 'memory' });
    engine.close();
    results.push({
      name: contestant.name,
      threads,
      loadSeconds,
      prefillTokensPerSecond: spread(prefill),
      decodeTokensPerSecond: spread(decode),
      peakBytes,
    });
  }
  return results;
}
