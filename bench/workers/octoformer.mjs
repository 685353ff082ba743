/** octoformer itself, through its public interface, greedy; one of the engines under test. */
import { AutoModelForCausalLM } from '../../dist/index.js';
import { serve, timed } from './serve.mjs';

let model;

await serve({
  async load({ model: source, dtype, threads }) {
    await model?.dispose();
    const { seconds, result } = await timed(() => AutoModelForCausalLM.from_pretrained(source, { dtype, threads }));
    model = result;
    return { seconds };
  },
  async prefill({ tokens }) {
    const { seconds } = await timed(() =>
      model.generate({ input_ids: [tokens] }, { max_new_tokens: 1, do_sample: false, eos_token_id: null }),
    );
    return { seconds };
  },
  async decode({ tokens, count }) {
    let start = 0n;
    const streamer = {
      put() {
        if (start === 0n) start = process.hrtime.bigint(); // the first token comes with the prompt's evaluation
      },
      end() {},
    };
    const { sequences } = await model.generate(
      { input_ids: [tokens] },
      { max_new_tokens: count + 1, do_sample: false, eos_token_id: null, streamer },
    );
    return { seconds: Number(process.hrtime.bigint() - start) / 1e9, ids: sequences[0].slice(tokens.length) };
  },
});
