/** llama.cpp through node-llama-cpp, CPU only, greedy. Its package folder is given by PEERS_FOLDER. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { serve, timed } from './serve.mjs';

const require = createRequire(path.join(process.env.PEERS_FOLDER, 'package.json'));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(require.resolve('node-llama-cpp')).href);

let sequence;

await serve({
  async load({ model, threads, context }) {
    const { seconds } = await timed(async () => {
      const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: LlamaLogLevel.error });
      const loaded = await llama.loadModel({ modelPath: model, gpuLayers: 0 });
      // One batch may hold the whole prompt, as ours does; the rest are its defaults.
      const created = await loaded.createContext({
        contextSize: context,
        batchSize: context,
        threads: { ideal: threads, min: threads },
      });
      sequence = created.getSequence();
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
    // The first token comes with the prompt's evaluation and is not timed.
    for await (const id of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
      if (ids.length === 0) start = process.hrtime.bigint();
      ids.push(id);
      if (ids.length === count + 1) break;
    }
    return { seconds: Number(process.hrtime.bigint() - start) / 1e9, ids };
  },
});
