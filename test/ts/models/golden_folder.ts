import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { architectureNames, type CausalLanguageModel, type ForwardOutputs, type Tensor } from '../../../ts';
import { type Comparison, compareTensor, sameBits, sameIds } from '../goldens/comparison';
import { compareSearch, type SearchCase, searchOptions } from '../goldens/search';
import { type GoldenTensor, readSafetensors } from '../safetensors';
import { formulaFolders } from './formula_checkpoints';

interface GoldenInput {
  readonly input_ids: readonly number[];
}

export interface GoldenGreedy {
  readonly input: string;
  readonly max_new_tokens: number;
  readonly ids: readonly number[];
}

/** What golden.json of a decoder holds. */
interface GoldenFile {
  readonly kind: string;
  /** Python's class. */
  readonly architecture: string;
  readonly single: GoldenInput;
  readonly batch: readonly GoldenInput[];
  readonly long?: GoldenInput;
  readonly greedy?: readonly GoldenGreedy[];
  readonly beam?: readonly (SearchCase & { readonly input: string })[];
}

/**
 * Folders that hold a checkpoint with reference results: those below a folder of goldens, and those made from its files of checkpoints
 * whose weights are a formula. None if it does not exist.
 */
export function checkpointFolders(parent: string): string[] {
  if (!existsSync(parent)) return [];
  const stored = readdirSync(parent)
    .map((name) => join(parent, name))
    .filter((folder) => existsSync(join(folder, 'golden.json')) && existsSync(join(folder, 'config.json')));
  return [...stored, ...formulaFolders(parent)];
}

/** Those of a kind that can be opened. */
export function openableFolders(parent: string, kind: string): string[] {
  const families = architectureNames();
  return checkpointFolders(parent).filter(
    (folder) => readGolden(folder).kind === kind && families.includes(modelType(folder)),
  );
}

export function readGolden(folder: string): GoldenFile {
  return readJson<GoldenFile>(join(folder, 'golden.json'));
}

/** The family of a checkpoint. */
export function modelType(folder: string): string {
  return readJson<{ model_type: string }>(join(folder, 'config.json')).model_type;
}

export function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

/** The reference results beside a checkpoint (the format is described in the goldens' README), and comparisons of a model with them. */
export class GoldenFolder {
  readonly name: string;
  readonly golden: GoldenFile;
  readonly config: { readonly model_type: string };
  readonly #tensors: ReadonlyMap<string, GoldenTensor>;
  /** A step's rotary frequencies depend on how long the sequence is by then, so that steps differ from one run. */
  readonly dependsOnLength: boolean;

  constructor(readonly folder: string) {
    this.name = basename(folder);
    this.golden = readGolden(folder);
    this.#tensors = readSafetensors(join(folder, 'golden.safetensors'));
    this.config = readJson(join(folder, 'config.json'));
    const config = JSON.stringify(this.config);
    // With `alpha` (Hunyuan) the type `dynamic` is a fixed one.
    this.dependsOnLength = /"(rope_)?type":"(dynamic|longrope|su)"/.test(config) && !config.includes('"alpha":');
  }

  /** The ids of an input that golden.json names: `single`, `batch.I` or `long`. */
  ids(input: string): readonly number[] {
    const { single, long, batch } = this.golden;
    const found = input === 'single' ? single : input === 'long' ? long : batch[Number(input.slice('batch.'.length))];
    if (!found) throw new Error(`${this.name}: golden.json has no input '${input}'`);
    return found.input_ids;
  }

  /** All inputs by name. */
  get inputs(): string[] {
    return ['single', ...this.golden.batch.map((_, index) => `batch.${index}`), ...(this.golden.long ? ['long'] : [])];
  }

  /** Hidden states, attentions and logits of every input, run alone. */
  async compareForward(model: CausalLanguageModel): Promise<Comparison[]> {
    const comparisons: Comparison[] = [];
    for (const input of this.inputs) {
      const outputs = await model.forward({
        input_ids: [this.ids(input)],
        output_hidden_states: true,
        output_attentions: true,
        output_router_logits: true,
      });
      comparisons.push(...this.#compareOutputs(input, outputs));
    }
    return comparisons;
  }

  #compareOutputs(input: string, outputs: ForwardOutputs): Comparison[] {
    const { logits, last_hidden_state, hidden_states = [], attentions = [], router_logits = [] } = outputs;
    const lastLogits = logits[0]?.data.slice(-(logits[0].dims[1] ?? 0));
    const found: [string, Tensor | undefined][] = [
      ['logits', logits[0]],
      ['last_hidden_state', last_hidden_state[0]],
      ['logits_last', lastLogits && { data: lastLogits, dims: [lastLogits.length] }],
      ...hidden_states.map(([tensor], layer): [string, Tensor | undefined] => [`hidden_states.${layer}`, tensor]),
      ...attentions.map(([tensor], layer): [string, Tensor | undefined] => [`attentions.${layer}`, tensor]),
      ...router_logits.map(([tensor], layer): [string, Tensor | undefined] => [`router_logits.${layer}`, tensor]),
    ];
    const comparisons = found.flatMap(([name, tensor]) => {
      const golden = this.#tensors.get(`${input}.${name}`);
      return golden && tensor ? [compareTensor(`${input}.${name}`, tensor, golden)] : [];
    });
    const expected = [...this.#tensors.keys()].filter((name) => name.startsWith(`${input}.`));
    const missing = expected.filter((name) => !comparisons.some((comparison) => comparison.name === name));
    return [...comparisons, ...missing.map((name) => ({ name, difference: Number.POSITIVE_INFINITY, allowed: 0 }))];
  }

  /** The greedy tokens of every case, all in one ragged batch, and the number of those that differ. */
  async compareGreedy(model: CausalLanguageModel): Promise<Comparison[]> {
    const cases = this.golden.greedy ?? [];
    const most = Math.max(...cases.map((one) => one.max_new_tokens));
    const input_ids = cases.map((one) => this.ids(one.input));
    const { sequences } = await model.generate(
      { input_ids },
      { max_new_tokens: most, do_sample: false, eos_token_id: null },
    );
    return cases.map(({ input, ids, max_new_tokens }, index) => {
      const start = input_ids[index]?.length ?? 0;
      const made = (sequences[index] ?? []).slice(start, start + max_new_tokens);
      return sameIds(`greedy.${input}`, made, ids);
    });
  }

  /** Every beam search. */
  async compareBeams(model: CausalLanguageModel): Promise<Comparison[]> {
    const comparisons: Comparison[] = [];
    for (const [index, one] of (this.golden.beam ?? []).entries()) {
      const ids = this.ids(one.input);
      const found = await model.generate({ input_ids: [ids] }, searchOptions(one));
      comparisons.push(...compareSearch(`beam.${index}`, one, found, ids.length));
    }
    return comparisons;
  }

  /** The logits of every greedy step, each step fed through the cache. */
  async compareSteps(model: CausalLanguageModel): Promise<Comparison[]> {
    const comparisons: Comparison[] = [];
    for (const { input, ids } of this.golden.greedy ?? []) {
      const golden = this.#tensors.get(`greedy.${input}.logits`);
      if (!golden || this.dependsOnLength) continue;
      using cache = model.createCache();
      const rows: number[] = [];
      let next = this.ids(input);
      for (const id of ids) {
        const { logits } = await model.forward({ input_ids: [next], past: cache, logits_to_keep: 1 });
        rows.push(...(logits[0]?.data ?? []));
        next = [id];
      }
      const actual = { data: Float32Array.from(rows), dims: golden.shape };
      comparisons.push(compareTensor(`greedy.${input}.logits`, actual, golden));
    }
    return comparisons;
  }

  /** One token after another through the cache, and pieces of three, against one run: the same bits. */
  async compareCache(model: CausalLanguageModel): Promise<Comparison[]> {
    const ids = this.ids('single');
    const whole = await model.forward({ input_ids: [ids] });
    const comparisons: Comparison[] = [];
    for (const piece of [1, 3]) {
      using cache = model.createCache();
      const rows: number[] = [];
      for (let first = 0; first < ids.length; first += piece) {
        const { logits } = await model.forward({ input_ids: [ids.slice(first, first + piece)], past: cache });
        rows.push(...(logits[0]?.data ?? []));
      }
      comparisons.push(sameBits(`steps of ${piece}`, Float32Array.from(rows), whole.logits[0]?.data));
    }
    return comparisons;
  }

  /** All inputs as one ragged batch, with and without caches, against each alone: the same bits. */
  async compareRagged(model: CausalLanguageModel): Promise<Comparison[]> {
    const input_ids = this.inputs.map((input) => this.ids(input));
    const together = await model.forward({ input_ids, output_attentions: true, use_cache: true });
    const comparisons: Comparison[] = [];
    for (const [index, input] of this.inputs.entries()) {
      const alone = await model.forward({ input_ids: [this.ids(input)], output_attentions: true });
      comparisons.push(
        sameBits(`${input}.logits in a batch`, together.logits[index]?.data, alone.logits[0]?.data),
        sameBits(
          `${input}.last_hidden_state in a batch`,
          together.last_hidden_state[index]?.data,
          alone.last_hidden_state[0]?.data,
        ),
        ...(alone.attentions ?? []).map(([tensor], layer) =>
          sameBits(
            `${input}.attentions.${layer} in a batch`,
            together.attentions?.[layer]?.[index]?.data,
            tensor?.data,
          ),
        ),
      );
    }
    for (const cache of together.past ?? []) cache.dispose();
    return comparisons;
  }
}
