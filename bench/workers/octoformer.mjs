/** octoformer itself, through its public interface, greedy; one of the engines under test. */
import { AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM } from '../../dist/index.js';
import { serve, timed } from './serve.mjs';

let model;

const openers = { decoder: AutoModelForCausalLM, encoder: AutoModel, 'encoder-decoder': AutoModelForSeq2SeqLM };

const generate = (prompts, count, more = {}) =>
  model.generate({ input_ids: prompts }, { max_new_tokens: count, do_sample: false, eos_token_id: null, ...more });

await serve({
  async load({ model: source, kind = 'decoder', dtype, quantization, threads }) {
    await model?.dispose();
    const { seconds, result } = await timed(() =>
      openers[kind].from_pretrained(source, {
        threads,
        ...(dtype ? { dtype } : {}),
        ...(quantization ? { quantization } : {}),
      }),
    );
    model = result;
    return { seconds, weightBytes: model.memoryFootprint().weights };
  },
  async prefill({ tokens }) {
    const { seconds } = await timed(() => generate([tokens], 1));
    return { seconds };
  },
  async decode({ tokens, count }) {
    const { seconds, result } = await timed(() => generate([tokens], count + 1));
    // The first token comes with the prompt's evaluation.
    const { timeToFirstToken } = result.statistics;
    return { seconds: seconds - timeToFirstToken / 1000, ids: result.sequences[0].slice(tokens.length) };
  },
  async batch({ prompts, count }) {
    const { seconds, result } = await timed(() => generate(prompts, count));
    return { seconds, tokens: result.sequences.reduce((sum, ids, i) => sum + ids.length - prompts[i].length, 0) };
  },
  async translate({ sources, count, beams }) {
    const { seconds, result } = await timed(() => generate(sources, count, { num_beams: beams }));
    const made = result.sequences.map((ids) => ids.slice(1)); // without the start token
    return { seconds, tokens: made.reduce((sum, ids) => sum + ids.length, 0), ids: made[0] };
  },
  async embed({ sequences }) {
    const { seconds, result } = await timed(() => model.forward({ input_ids: sequences }));
    const [{ data, dims }] = result.last_hidden_state;
    return { seconds, first: [...data.subarray(0, dims[1])] };
  },
});
