/**
 * What a server feels while a long prompt is read: the delay of the event loop during a 2,048-token prefill, how soon an abort is
 * honoured, and how long one layer takes.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { AutoModelForCausalLM } from '../dist/index.js';
import { timed } from './workers/serve.mjs';

const promptTokens = 2048;

/** @param {string} source a model with a context of 2,048 tokens or more */
export async function measureResponsiveness(source, threads) {
  const model = await AutoModelForCausalLM.from_pretrained(source, { threads });
  const input = { input_ids: [Array.from({ length: promptTokens }, (_, i) => 1000 + ((i * 7919) % 20000))] };
  const options = { max_new_tokens: 1, do_sample: false, eos_token_id: null };
  await model.generate(input, options); // warm-up

  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const { seconds } = await timed(() => model.generate(input, options));
  delay.disable();

  const abortSeconds = [];
  for (let i = 0; i < 5; i++) {
    const controller = new AbortController();
    const running = model.generate(input, { ...options, signal: controller.signal }).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100 + 37 * i));
    const { seconds: untilStopped } = await timed(() => {
      controller.abort();
      return running;
    });
    abortSeconds.push(untilStopped);
  }
  const layers = model.config.num_hidden_layers;
  await model.dispose();
  return {
    promptTokens,
    prefillSeconds: seconds,
    eventLoopDelayMilliseconds: { most: delay.max / 1e6, p99: delay.percentile(99) / 1e6 },
    abortMilliseconds: Math.max(...abortSeconds) * 1e3,
    layerMilliseconds: (seconds / layers) * 1e3,
  };
}
