// What weights are asked for with, and what became of it.
import type { ModuleParameter } from './module_tree';
import type { WeightPart } from './program';
import type { TensorPlace } from './tensor_table';

/** A tensor that a weight is made of, by the name that Hugging Face's modules give it. */
export interface PartRequest {
  readonly name: string;
  /** As the module sees it: `[out_features, in_features]`, `[length]`, or `[matrices, out_features, in_features]`, whose rows are stacked. */
  readonly shape: readonly number[];
  /** The checkpoint keeps it the other way round: `[in_features, out_features]`. */
  readonly transpose?: boolean;
  /** Of a vector: the shape that the checkpoint has it in, such as `[1, length]`. */
  readonly storedShape?: readonly number[];
  /** Which of the tensor's rows (of a vector: of its numbers), in what order; all as they are when left out. */
  readonly rows?: RowArrangement;
  /** Several such arrangements, one after another: together all rows, in the order that layers multiply them in. */
  readonly pieces?: readonly RowArrangement[];
}

/** Rows of a tensor, reordered, then cut out. */
export type RowArrangement = Pick<WeightPart, 'permute_rows' | 'take_rows'>;

/** A weight of the Program and what it was made of. */
export interface BuiltWeight {
  readonly index: number;
  /** One a part, in order: what a module records as its parameter. */
  readonly parameters: readonly Omit<ModuleParameter, 'name'>[];
  /** What the checkpoint has its numbers with on top. */
  readonly added?: number;
}

/** A tensor of the checkpoint that the model reads. */
export interface ReadTensor {
  /** How Hugging Face's modules call it; the checkpoint may have another name for it. */
  readonly name: string;
  /** How the checkpoint stores it, such as `BF16`. */
  readonly dtype: string;
  /** Hugging Face's modules keep it as `[in_features, out_features]` where it is not int8. */
  readonly transpose: boolean;
  /** The checkpoint has it in the order of the weight; in Hugging Face's order its rows become that by these pieces. */
  readonly rows?: readonly RowArrangement[];
  /** What the checkpoint added to its numbers. */
  readonly added?: number;
  /** Its matrices are halves of `rows` rows: the first or the second (0, 1) of those of a stack that `whole`, of the first, stands for. */
  readonly half?: { readonly index: number; readonly rows: number; readonly whole: string };
}

/** Where half a matrix of a stack is that the checkpoint keeps as two stacks of halves. */
export function halfOf({ tensor, secondHalves }: TensorPlace, rows?: RowArrangement) {
  if (!secondHalves || !rows?.take_rows) return undefined;
  const { first, count } = rows.take_rows;
  const index = (first / count) % 2;
  const take_rows = { first: Math.floor(first / count / 2) * count, count };
  return { tensor: index === 0 ? tensor : secondHalves, index, rows: { take_rows } };
}
