import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoModelForCausalLM, type LoadOptions } from '../../../ts';
import { nativeAddon } from '../../../ts/binding/load';
import { type GoldenTensor, readSafetensors } from '../safetensors';
import { type Comparison, compareTensor, sameBits, sameIds } from './comparison';

/** A GGUF file of a golden folder, with what must come out of it. */
export interface GgufCase {
  readonly file: string;
  readonly path: string;
  readonly input_ids: readonly number[];
  readonly greedy: readonly number[];
  readonly max_new_tokens: number;
  readonly tensors: ReadonlyMap<string, GoldenTensor>;
}

/** The files that a folder's golden.json names; none if there is no such folder. */
export function ggufCases(folder: string): GgufCase[] {
  if (!existsSync(join(folder, 'golden.json'))) return [];
  const { files, max_new_tokens } = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as {
    readonly max_new_tokens: number;
    readonly files: readonly Pick<GgufCase, 'file' | 'input_ids' | 'greedy'>[];
  };
  const tensors = readSafetensors(join(folder, 'golden.safetensors'));
  return files.map((one) => ({ ...one, path: join(folder, one.file), tensors, max_new_tokens }));
}

/** Dequantized rows bit for bit, the last logits and hidden states, the greedy tokens. */
export async function compareGguf(one: GgufCase, options: LoadOptions = {}): Promise<Comparison[]> {
  const { file, path, input_ids, greedy, max_new_tokens, tensors } = one;
  const stem = file.replace('.gguf', '');
  await using model = await AutoModelForCausalLM.from_pretrained(path, options);
  const { logits, last_hidden_state } = await model.forward({ input_ids: [input_ids], logits_to_keep: 8 });
  const made = { logits_last_8: logits[0], last_hidden_state: last_hidden_state[0] };
  const { sequences } = await model.generate(
    { input_ids: [input_ids] },
    { max_new_tokens, eos_token_id: null, do_sample: false },
  );
  return [
    ...(await compareRows(path, `${stem}.tensor.`, tensors)),
    ...Object.entries(made).map(([key, tensor]) => {
      const golden = tensors.get(`${stem}.${key}`);
      if (!golden) throw new Error(`golden.safetensors beside ${file} has no ${stem}.${key}`);
      return compareTensor(`${stem}.${key}`, tensor, golden);
    }),
    sameIds(`${stem}.greedy`, sequences[0]?.slice(input_ids.length), greedy),
  ];
}

/** The first rows of the tensors that the golden file has. */
async function compareRows(
  path: string,
  prefix: string,
  tensors: ReadonlyMap<string, GoldenTensor>,
): Promise<Comparison[]> {
  const checkpoint = await nativeAddon().openCheckpoint([path]);
  try {
    return [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { shape, data }]) => {
        const rows = shape.length > 1 ? (shape[0] ?? 0) : 1; // a vector is one row
        const values = checkpoint.readRows(name.slice(prefix.length), 0, rows);
        return sameBits(name, shape.length > 1 ? values : values.subarray(0, data.length), data);
      });
  } finally {
    checkpoint.dispose();
  }
}
