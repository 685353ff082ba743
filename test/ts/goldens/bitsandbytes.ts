import { basename, join } from 'node:path';
import {
  AutoModelForCausalLM,
  AutoModelForMaskedLM,
  AutoModelForSeq2SeqLM,
  type CausalLanguageModel,
  type EncoderModel,
  type LoadOptions,
  type Seq2SeqLanguageModel,
  type Tensor,
  type TokenLogitsOutputs,
} from '../../../ts';
import { checkpointFolders, readJson } from '../models/golden_folder';
import { readSafetensors } from '../safetensors';
import { type Comparison, compareTensor, largestMagnitude } from './comparison';

interface Input {
  readonly input_ids: readonly number[];
  readonly decoder_input_ids?: readonly number[];
  readonly token_type_ids?: readonly number[];
}

interface GoldenFile {
  readonly kind: string;
  readonly single: Input;
  readonly batch: readonly Input[];
}

/** The two versions of the golden files that octoformer computes, and how it is told to. */
export const versions: Readonly<Record<string, LoadOptions>> = {
  definition_token: {},
  definition_column: { quantization: { scheme: 'llm.int8', outliers: 'column' } },
};

/** Checkpoints below a folder of goldens; none if there is no such folder. */
export function bitsandbytesFolders(parent: string): BitsandbytesFolder[] {
  return checkpointFolders(parent).map((folder) => new BitsandbytesFolder(folder));
}

/** An int8 checkpoint as bitsandbytes saved it, with what its definition gives. */
export class BitsandbytesFolder {
  readonly name: string;
  readonly kind: string;
  readonly #golden: GoldenFile;

  constructor(readonly folder: string) {
    this.name = basename(folder);
    this.#golden = readJson<GoldenFile>(join(folder, 'golden.json'));
    this.kind = this.#golden.kind;
  }

  /** Opens the checkpoint as what it is. */
  open(options: LoadOptions): Promise<CausalLanguageModel | EncoderModel<TokenLogitsOutputs> | Seq2SeqLanguageModel> {
    if (this.kind === 'encdec') return AutoModelForSeq2SeqLM.from_pretrained(this.folder, options);
    const auto = this.kind === 'encoder' ? AutoModelForMaskedLM : AutoModelForCausalLM;
    return auto.from_pretrained(this.folder, options);
  }

  /**
   * Every tensor of a version. The goldens' README: an activation on a rounding edge may go to the neighbouring int8 value, which moves
   * a tensor by up to 3e-2 of its largest value; most tensors agree to 1e-4.
   */
  async compare(version: string): Promise<Comparison[]> {
    const actual = await this.results(versions[version] ?? {});
    const comparisons = [...readSafetensors(join(this.folder, 'golden.safetensors'))]
      .filter(([name]) => name.startsWith(`${version}.`))
      .map(([name, golden]) =>
        compareTensor(name, actual.get(name.slice(version.length + 1)), golden, 3e-2 * largestMagnitude(golden.data)),
      );
    const near = comparisons.filter(({ difference, allowed }) => difference < (1e-4 / 3e-2) * allowed).length;
    const most = { name: `${version}: tensors that are not nearly the same`, difference: comparisons.length - near };
    return [...comparisons, { ...most, allowed: Math.ceil(comparisons.length / 2) - 1 }];
  }

  /** Logits and hidden states of every input, each run alone, by the golden tensors' names. */
  async results(options: LoadOptions): Promise<ReadonlyMap<string, Tensor>> {
    const { single, batch } = this.#golden;
    await using model = await this.open(options);
    const found = new Map<string, Tensor>();
    const inputs = [['single', single] as const, ...batch.map((input, index) => [`batch.${index}`, input] as const)];
    for (const [key, input] of inputs) {
      const lists = Object.fromEntries(Object.entries(input).map(([name, ids]) => [name, [ids]]));
      const outputs = await model.forward({ input_ids: [input.input_ids], ...lists, output_hidden_states: true });
      for (const [name, value] of Object.entries(outputs) as [string, readonly (Tensor | readonly Tensor[])[]][]) {
        if (name.endsWith('hidden_states')) {
          for (const [layer, states] of value.entries())
            found.set(`${key}.${name}.${layer}`, (states as Tensor[])[0] as Tensor);
        } else {
          found.set(`${key}.${name}`, value[0] as Tensor);
        }
      }
    }
    return found;
  }
}
