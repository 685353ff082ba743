import { join } from 'node:path';
import {
  AutoModelForSeq2SeqLM,
  type GenerateOptions,
  type LoadOptions,
  type Seq2SeqInputs,
  type Seq2SeqLanguageModel,
  type Seq2SeqOutputs,
  type Tensor,
} from '../../../ts';
import { type Comparison, compareTensor, sameBits, sameIds } from '../goldens/comparison';
import { compareSearch, type SearchCase, searchOptions } from '../goldens/search';
import { readSafetensors } from '../safetensors';
import { type GoldenGreedy, openableFolders } from './golden_folder';
import { ReferenceFolder } from './reference_folder';

interface GoldenInput {
  readonly input_ids: readonly number[];
  readonly decoder_input_ids: readonly number[];
}

interface GoldenFile {
  readonly kind: string;
  readonly decoder_start_token_id: number;
  readonly single: GoldenInput;
  readonly batch: readonly GoldenInput[];
  readonly greedy: readonly GoldenGreedy[];
  readonly beam?: readonly (SearchCase & { readonly input: string })[];
}

/** Folders of encoder-decoders below a folder of goldens; none if that does not exist. */
export function seq2seqFolders(parent: string): Seq2SeqFolder[] {
  return openableFolders(parent, 'encdec').map((folder) => new Seq2SeqFolder(folder));
}

const everything = { output_hidden_states: true, output_attentions: true };

/** The reference results beside an encoder-decoder's checkpoint, and comparisons of a model with them. */
export class Seq2SeqFolder extends ReferenceFolder<GoldenInput, GoldenFile> {
  open(options: LoadOptions): Promise<Seq2SeqLanguageModel> {
    return AutoModelForSeq2SeqLM.from_pretrained(this.folder, options);
  }

  input(name: string): GoldenInput {
    const found = this.inputs.get(name);
    if (!found) throw new Error(`${this.name}: golden.json has no input '${name}'`);
    return found;
  }

  /** Every tensor of the golden file, from each input run alone; the logits of greedy steps through the cache. */
  async compareForward(model: Seq2SeqLanguageModel): Promise<Comparison[]> {
    const actual = new Map<string, Tensor>();
    for (const [name, input] of this.inputs) {
      const outputs = await model.forward({ ...inputsOf([input]), ...everything });
      for (const [key, tensor] of namedTensors(outputs, 0)) actual.set(`${name}.${key}`, tensor);
    }
    for (const { input, ids } of this.golden.greedy) {
      actual.set(`greedy.${input}.logits`, await this.#steps(model, input, ids));
    }
    const goldens = readSafetensors(join(this.folder, 'golden.safetensors'));
    return [...goldens].map(([name, golden]) => compareTensor(name, actual.get(name), golden));
  }

  /** Logits of every greedy step: the first call encodes, the others go on from its cache. */
  async #steps(model: Seq2SeqLanguageModel, input: string, ids: readonly number[]): Promise<Tensor> {
    const first = await model.forward({
      input_ids: [this.input(input).input_ids],
      decoder_input_ids: [[this.golden.decoder_start_token_id]],
      use_cache: true,
    });
    const past = first.past ?? [];
    const rows = [...(first.logits[0]?.data ?? [])];
    for (const id of ids.slice(0, -1)) {
      const { logits } = await model.forward({ decoder_input_ids: [[id]], past });
      rows.push(...(logits[0]?.data ?? []));
    }
    for (const cache of past) cache.dispose();
    return { data: Float32Array.from(rows), dims: [ids.length, rows.length / ids.length] };
  }

  /** One token after another through the cache, and pieces of three, against one run: the same bits. */
  async compareCache(model: Seq2SeqLanguageModel): Promise<Comparison[]> {
    const { input_ids, decoder_input_ids: ids } = this.golden.single;
    const whole = await model.forward(inputsOf([this.golden.single]));
    const comparisons: Comparison[] = [];
    for (const piece of [1, 3]) {
      const parts = Array.from({ length: Math.ceil(ids.length / piece) }, (_, part) =>
        ids.slice(part * piece, (part + 1) * piece),
      );
      const [start = [], ...rest] = parts;
      const first = await model.forward({ input_ids: [input_ids], decoder_input_ids: [start], use_cache: true });
      const rows = [...(first.logits[0]?.data ?? [])];
      const past = first.past ?? [];
      for (const part of rest) {
        const { logits } = await model.forward({ decoder_input_ids: [part], past });
        rows.push(...(logits[0]?.data ?? []));
      }
      for (const cache of past) cache.dispose();
      comparisons.push(sameBits(`steps of ${piece}`, Float32Array.from(rows), whole.logits[0]?.data));
    }
    return comparisons;
  }

  /** All inputs as one ragged batch, with and without caches, against each alone: the same bits. */
  async compareRagged(model: Seq2SeqLanguageModel): Promise<Comparison[]> {
    const all = [...this.inputs];
    const together = await model.forward({
      ...inputsOf(all.map(([, input]) => input)),
      ...everything,
      use_cache: true,
    });
    const comparisons: Comparison[] = [];
    for (const [index, [name, input]] of all.entries()) {
      const alone = namedTensors(await model.forward({ ...inputsOf([input]), ...everything }), 0);
      const inBatch = new Map(namedTensors(together, index));
      comparisons.push(
        ...alone.map(([key, tensor]) => sameBits(`${name}.${key}`, inBatch.get(key)?.data, tensor.data)),
      );
    }
    for (const cache of together.past ?? []) cache.dispose();
    return comparisons;
  }

  /** Greedy ids of all inputs, as one batch. */
  async compareGreedy(model: Seq2SeqLanguageModel): Promise<Comparison[]> {
    const { greedy, decoder_start_token_id } = this.golden;
    const { sequences } = await model.generate(
      { input_ids: greedy.map(({ input }) => this.input(input).input_ids) },
      {
        ...neutral,
        decoder_start_token_id,
        max_new_tokens: Math.max(...greedy.map(({ max_new_tokens }) => max_new_tokens)),
        eos_token_id: null,
      },
    );
    return greedy.map(({ input, ids, max_new_tokens }, index) =>
      sameIds(`greedy.${input}`, sequences[index]?.slice(0, 1 + max_new_tokens), [decoder_start_token_id, ...ids]),
    );
  }

  /** Sequences and scores of beam searches. */
  async compareBeams(model: Seq2SeqLanguageModel): Promise<Comparison[]> {
    const { beam = [], decoder_start_token_id } = this.golden;
    const comparisons: Comparison[] = [];
    for (const [index, search] of beam.entries()) {
      const { input } = search;
      const found = await model.generate(
        { input_ids: [this.input(input).input_ids] },
        { ...neutral, decoder_start_token_id, ...searchOptions(search) },
      );
      comparisons.push(...compareSearch(`beam.${index} of ${input}`, search, found));
    }
    return comparisons;
  }
}

/** Takes what generation_config.json asks for out of force. */
const neutral: GenerateOptions = { forced_eos_token_id: null, forced_bos_token_id: null, bad_words_ids: null };

function inputsOf(inputs: readonly GoldenInput[]): Seq2SeqInputs {
  return {
    input_ids: inputs.map(({ input_ids }) => input_ids),
    decoder_input_ids: inputs.map(({ decoder_input_ids }) => decoder_input_ids),
  };
}

/** The tensors of one sequence by the names that the golden files have for them. */
function namedTensors({ past: _, ...outputs }: Seq2SeqOutputs, sequence: number): [string, Tensor][] {
  return Object.entries(outputs).flatMap(
    ([name, value]: [string, readonly Tensor[] | readonly (readonly Tensor[])[]]) => {
      if (!name.endsWith('hidden_states') && !name.endsWith('attentions')) {
        return [[name, (value as readonly Tensor[])[sequence] as Tensor] as [string, Tensor]];
      }
      return (value as readonly (readonly Tensor[])[]).map((layer, index): [string, Tensor] => [
        `${name}.${index}`,
        layer[sequence] as Tensor,
      ]);
    },
  );
}
