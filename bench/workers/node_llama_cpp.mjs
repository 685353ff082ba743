/** llama.cpp through node-llama-cpp, CPU only, greedy. Its package folder is given by PEERS_FOLDER. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { serve, timed } from './serve.mjs';

const require = createRequire(path.join(process.env.PEERS_FOLDER, 'package.json'));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(require.resolve('node-llama-cpp')).href);

/** Tokens that a sequence may have: the longest prompt and what is generated. */
const contextTokens = 576;

let loaded;
let threadCount;
let sequence;
/** Contexts of so many sequences, made when they are needed. */
const contexts = new Map();

// One batch may hold a whole prompt, as ours does; the rest are its defaults.
const createContext = (sequences, contextSize) =>
  loaded.createContext({
    sequences,
    contextSize,
    batchSize: contextTokens,
    threads: { ideal: threadCount, min: threadCount },
  });

async function sequencesOf(count, contextSize) {
  if (!contexts.has(count)) {
    const context = await createContext(count, contextSize);
    contexts.set(
      count,
      Array.from({ length: count }, () => context.getSequence()),
    );
  }
  return contexts.get(count);
}

async function* greedy(of, tokens, count) {
  let made = 0;
  for await (const id of of.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
    yield id;
    if (++made === count) return;
  }
}

await serve({
  async load({ model, threads }) {
    const { seconds } = await timed(async () => {
      const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: LlamaLogLevel.error });
      loaded = await llama.loadModel({ modelPath: model, gpuLayers: 0 });
      threadCount = threads;
      sequence = (await createContext(1, contextTokens)).getSequence();
    });
    return { seconds };
  },
  async prefill({ tokens }) {
    await sequence.clearHistory();
    const { seconds } = await timed(() => sequence.evaluateWithoutGeneratingNewTokens(tokens));
    return { seconds };
  },
  async decode({ tokens, count }) {
    await sequence.clearHistory();
    const ids = [];
    let start = 0n;
    for await (const id of greedy(sequence, tokens, count + 1)) {
      if (ids.length === 0) start = process.hrtime.bigint(); // the first token comes with the prompt's evaluation
      ids.push(id);
    }
    return { seconds: Number(process.hrtime.bigint() - start) / 1e9, ids };
  },
  async batch({ prompts, count }) {
    const sequences = await sequencesOf(prompts.length, prompts[0].length + count);
    for (const one of sequences) await one.clearHistory();
    const { seconds, result } = await timed(() =>
      Promise.all(
        sequences.map(async (one, i) => {
          let made = 0;
          for await (const _ of greedy(one, prompts[i], count)) made++;
          return made;
        }),
      ),
    );
    return { seconds, tokens: result.reduce((sum, made) => sum + made, 0) };
  },
});
