import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoModelForCausalLM } from '../../../ts';
import { goldensFolder } from '../goldens_folder';
import { readSafetensors } from '../safetensors';
import { failures, largestDifference } from './golden_folder';

interface GgufGolden {
  readonly max_new_tokens: number;
  readonly files: readonly {
    readonly file: string;
    readonly input_ids: readonly number[];
    readonly greedy: readonly number[];
  }[];
}

const goldens = goldensFolder();
const folders = [join(__dirname, '..', '..', 'fixtures', 'gguf'), ...(goldens ? [join(goldens, 'gguf')] : [])];
const cases = folders.flatMap((folder) => {
  const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as GgufGolden;
  const tensors = readSafetensors(join(folder, 'golden.safetensors'));
  return golden.files
    .filter(({ file }) => existsSync(join(folder, file)))
    .map((one) => ({ ...one, path: join(folder, one.file), tensors, count: golden.max_new_tokens }));
});

it('there are files of several types', () => {
  expect(cases.map((one) => one.file)).toEqual(expect.arrayContaining(['llama-f32.gguf', 'llama-q8_0.gguf']));
});

it.each(cases.map((one) => [one.path, one] as const))(
  "%s gives the reference's values and tokens",
  async (path, one) => {
    await using model = await AutoModelForCausalLM.from_pretrained(path);
    const { logits, last_hidden_state } = await model.forward({ input_ids: [one.input_ids], logits_to_keep: 8 });
    const name = one.file.replace('.gguf', '');
    const comparisons = (
      [
        [`${name}.logits_last_8`, logits[0]],
        [`${name}.last_hidden_state`, last_hidden_state[0]],
      ] as const
    ).flatMap(([key, tensor]) => {
      const golden = one.tensors.get(key);
      if (!golden || !tensor) throw new Error(`no ${key}`);
      expect(tensor.dims).toEqual(golden.shape);
      const scale = golden.data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      // The bound of the goldens' README for float32 models: the sums are made in another order.
      return [{ name: key, difference: largestDifference(tensor.data, golden.data), allowed: 2e-4 + 2e-4 * scale }];
    });
    expect(failures(comparisons)).toEqual([]);
    const { sequences } = await model.generate(
      { input_ids: [one.input_ids] },
      { max_new_tokens: one.count, eos_token_id: null, do_sample: false },
    );
    expect(sequences[0]?.slice(one.input_ids.length)).toEqual(one.greedy);
  },
);
