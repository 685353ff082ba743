import { OctoformerError } from '../binding/error';
import type { NativeTensorInfo } from '../binding/native';
import { closest } from '../binding/options';
import type { WeightPart } from './program';
import type { StoredNumbers } from './weight_policy';

/** Where a checkpoint keeps a tensor, and how its rows lie there. */
export interface TensorPlace {
  readonly tensor: string;
  readonly permute_rows?: NonNullable<WeightPart['permute_rows']>;
  /** The tensor is a stack of `count` such matrices; this is the one at `index`. */
  readonly stacked?: { readonly index: number; readonly count: number };
  /** The file leaves dimensions of 1 out of shapes. */
  readonly squeezed?: boolean;
  /** The matrices of a stack are cut in halves: this tensor stacks the first, that one the second. */
  readonly secondHalves?: string;
  /** The file has its numbers with this added to them. */
  readonly added?: number;
  /**
   * The tensor lies as layers multiply it, whatever Hugging Face's modules have: `[out_features, in_features]` for a Conv1D, and queries, keys
   * and values one after another where a head has all three together.
   */
  readonly asMultiplied?: boolean;
}

/**
 * Gives the places, best first, where a checkpoint may keep the tensor that modules call `name`, given the tensor's shape there.
 * The places depend on the file's format and age (GGUF's names; `model.` left out), never on the architecture's code.
 */
export type NameRule = (name: string) => readonly TensorPlace[];

export interface FoundTensor extends TensorPlace {
  readonly info: NativeTensorInfo;
}

/** Forms that the runtime reads as numbers; the others (int8 codes, indices) need what says how to read them. */
const integerDtypes: ReadonlySet<string> = new Set(['I8', 'U8', 'I16', 'I32', 'I64', 'BOOL']);

/** The tensors of a checkpoint by the names that Hugging Face's modules give them. */
export class TensorTable {
  readonly #tensors: ReadonlyMap<string, NativeTensorInfo>;
  readonly #rule: NameRule;
  // A name is looked up up to eight times while its module is built, and a rule may try several patterns.
  readonly #found = new Map<string, FoundTensor | undefined>();

  constructor(tensors: readonly NativeTensorInfo[], rule: NameRule = (name) => [{ tensor: name }]) {
    this.#tensors = new Map(tensors.map((info) => [info.name, info]));
    this.#rule = rule;
  }

  get size(): number {
    return this.#tensors.size;
  }

  /** The tensor, or undefined where the checkpoint has none of that name. */
  find(name: string): FoundTensor | undefined {
    if (!this.#found.has(name)) this.#found.set(name, this.#search(name));
    return this.#found.get(name);
  }

  #search(name: string): FoundTensor | undefined {
    for (const place of this.#rule(name)) {
      const info = this.#tensors.get(place.tensor);
      if (info) return { ...place, info };
    }
    return undefined;
  }

  /**
   * The tensor with the scales of an int8 matrix in bitsandbytes' form (`SCB` beside an I8 `weight`), or undefined where the matrix is
   * of another form.
   */
  scaleOf(name: string): string | undefined {
    if (!name.endsWith('.weight')) return undefined;
    const found = this.find(name);
    if (found?.info.dtype !== 'I8') return undefined;
    return this.find(`${name.slice(0, -'weight'.length)}SCB`)?.tensor;
  }

  /** What the numbers of a tensor are; `float` where there is none of that name. */
  numbersOf(name: string): StoredNumbers {
    if (this.scaleOf(name)) return 'int8';
    const dtype = this.find(name)?.info.dtype;
    return dtype === 'F16' || dtype === 'BF16' ? '16-bit' : 'float';
  }

  /**
   * The tensor, which must be there, of that shape, in a float form, or in int8 where that is what is asked for.
   * @throws OctoformerError MISSING_WEIGHT (with the nearest name), SHAPE_MISMATCH, INVALID_CHECKPOINT
   */
  require(name: string, shape: readonly number[], numbers: 'float' | 'int8' = 'float'): FoundTensor {
    const found = this.find(name);
    if (!found) throw this.#missing(name, shape);
    const { info } = found;
    const stored = storedShape(shape, found);
    if (info.shape.length !== stored.length || info.shape.some((size, axis) => size !== stored[axis])) {
      throw new OctoformerError(
        'SHAPE_MISMATCH',
        `tensor '${info.name}' of ${info.file} has shape [${info.shape.join(', ')}], but the configuration asks for ` +
          `[${stored.join(', ')}]; the file and the configuration belong to different models, or one of them is damaged`,
      );
    }
    if (numbers === 'float' && integerDtypes.has(info.dtype)) {
      throw new OctoformerError(
        'INVALID_CHECKPOINT',
        `tensor '${info.name}' of ${info.file} holds ${info.dtype} numbers, where weights in a float form are expected`,
      );
    }
    return found;
  }

  #missing(name: string, shape: readonly number[]): OctoformerError {
    const wanted = this.#rule(name)[0]?.tensor ?? name;
    const files = [...new Set([...this.#tensors.values()].map((info) => info.file))];
    const near = closest(wanted, this.#tensors.keys());
    const shown =
      files.length > 1
        ? `the ${files.length} files from ${files[0]} on`
        : (files[0] ?? 'the checkpoint, which has no tensors');
    return new OctoformerError(
      'MISSING_WEIGHT',
      `tensor '${wanted}' of shape [${shape.join(', ')}] is missing from ${shown}` +
        `${near ? ` (the nearest name there is '${near}')` : ''}; the checkpoint is incomplete, or its configuration belongs to another model`,
    );
  }
}

/** The shape that a tensor has in the file. */
function storedShape(shape: readonly number[], place: TensorPlace): readonly number[] {
  const { stacked, squeezed, secondHalves } = place;
  if (secondHalves) return shape.map((size, axis) => (axis === 1 ? size / 2 : size));
  const kept = squeezed ? shape.filter((size) => size !== 1) : shape;
  return stacked ? [stacked.count, ...kept] : kept;
}
