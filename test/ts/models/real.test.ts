import { join } from 'node:path';
import { info, pipeline, type TextGenerationPipeline } from '../../../ts';
import { failures } from '../goldens/comparison';
import { compareGreedyAnswers, comparePrompt, realPrompts, smolLM2File } from '../goldens/real';
import { goldensFolder } from '../goldens_folder';

const file = smolLM2File();
const allPrompts = realPrompts(join(goldensFolder() ?? '', 'real', 'smollm2'));
// All of them take the scalar kernels three minutes.
const prompts = info().isa === 'scalar' ? allPrompts.slice(0, 1) : allPrompts;

if (file && prompts.length > 0) {
  describe('SmolLM2-135M-Instruct', () => {
    let generator: TextGenerationPipeline;
    beforeAll(async () => {
      generator = await pipeline('text-generation', file);
    }, 300_000);
    afterAll(() => generator?.dispose());

    it.each(prompts)(
      '$prompt',
      async (golden) => {
        expect(failures(await comparePrompt(generator, golden))).toEqual([]);
      },
      300_000,
    );

    it("gives the reference's greedy tokens for all prompts, as one batch", async () => {
      expect(failures(await compareGreedyAnswers(generator, prompts))).toEqual([]);
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
  it.skip('SmolLM2-135M-Instruct: npm run demo fetches its weights', () => undefined);
}
