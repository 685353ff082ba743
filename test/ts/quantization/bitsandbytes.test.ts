import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AutoModelForCausalLM, AutoModelForMaskedLM, type LoadOptions, type Tensor } from '../../../ts';
import { goldensFolder } from '../goldens_folder';
import { largestDifference } from '../models/golden_folder';
import { type GoldenTensor, readSafetensors } from '../safetensors';

interface Input {
  readonly input_ids: readonly number[];
  readonly token_type_ids?: readonly number[];
}

interface GoldenFile {
  readonly single: Input;
  readonly batch: readonly Input[];
}

const goldens = goldensFolder();
const parent = goldens ? join(goldens, 'bitsandbytes') : '';
const names = ['llama-linear', 'opt', 'bert-mlm'].filter((name) => existsSync(join(parent, name)));

/** Logits and hidden states of every input, each run alone, by the golden tensors' names. */
async function results(name: string, options: LoadOptions): Promise<ReadonlyMap<string, Tensor>> {
  const folder = join(parent, name);
  const { single, batch } = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as GoldenFile;
  const auto = name.startsWith('bert') ? AutoModelForMaskedLM : AutoModelForCausalLM;
  await using model = await auto.from_pretrained(folder, options);
  const found = new Map<string, Tensor>();
  const inputs = [['single', single] as const, ...batch.map((input, index) => [`batch.${index}`, input] as const)];
  for (const [key, { input_ids, token_type_ids }] of inputs) {
    const outputs = await model.forward({
      input_ids: [input_ids],
      ...(token_type_ids ? { token_type_ids: [token_type_ids] } : {}),
      output_hidden_states: true,
    });
    const named: [string, Tensor | undefined][] = [
      ['logits', outputs.logits[0]],
      ['last_hidden_state', outputs.last_hidden_state?.[0]],
      ...(outputs.hidden_states ?? []).map(([state], layer): [string, Tensor | undefined] => [
        `hidden_states.${layer}`,
        state,
      ]),
    ];
    for (const [output, tensor] of named) if (tensor) found.set(`${key}.${output}`, tensor);
  }
  return found;
}

/** The largest difference of each golden tensor, as a part of its largest value. */
function relativeDifferences(
  actual: ReadonlyMap<string, Tensor>,
  golden: ReadonlyMap<string, GoldenTensor>,
  version: string,
): number[] {
  return [...golden]
    .filter(([name]) => name.startsWith(`${version}.`))
    .map(([name, { data, shape }]) => {
      const tensor = actual.get(name.slice(version.length + 1));
      expect([name, tensor?.dims]).toEqual([name, shape]);
      const scale = data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
      return largestDifference(tensor?.data ?? new Float32Array(), data) / scale;
    });
}

// The goldens' README: an activation on a rounding edge may go to the neighbouring int8 value, which moves a tensor by up to 3e-2; most
// tensors agree to 1e-4.
(names.length > 0 ? describe.each(names) : describe.skip.each(['none']))('a checkpoint of bitsandbytes: %s', (name) => {
  it.each([
    ['definition_token', {}],
    ['definition_column', { quantization: { scheme: 'llm.int8', outliers: 'column' } }],
  ] as const)('%s', async (version, options) => {
    const golden = readSafetensors(join(parent, name, 'golden.safetensors'));
    const differences = relativeDifferences(await results(name, options), golden, version);
    expect(differences.length).toBeGreaterThan(4);
    expect(Math.max(...differences)).toBeLessThan(3e-2);
    expect(differences.filter((difference) => difference < 1e-4).length).toBeGreaterThan(differences.length / 2);
  });

  it('can be opened in float32: the weights are dequantized', async () => {
    const auto = name.startsWith('bert') ? AutoModelForMaskedLM : AutoModelForCausalLM;
    await using asStored = await auto.from_pretrained(join(parent, name));
    await using asFloats = await auto.from_pretrained(join(parent, name), { quantization: 'none' });
    expect(Object.keys(asStored.memoryFootprint().weightsByForm).sort()).toEqual(['float32', 'int8']);
    expect(Object.keys(asFloats.memoryFootprint().weightsByForm)).toEqual(['float32']);
    await using quantizedAgain = await auto.from_pretrained(join(parent, name), { quantization: 'llm.int8' });
    const input_ids = [[1, 2, 3, 4, 5]];
    const [first, second] = await Promise.all([asStored.forward({ input_ids }), quantizedAgain.forward({ input_ids })]);
    expect(second.logits[0]?.data).toEqual(first.logits[0]?.data); // the int8 numbers are taken as they are
  });
});
