import { OctoformerError } from '../binding/error';
import { callNative } from '../binding/load';
import type { NativeModel } from '../binding/native';
import { allOps, type Program, storedName, type WeightDescription, type WeightPart } from '../graph/program';
import type { RowArrangement } from '../graph/weight_request';
import { dequantizedBytes, scaleMagnitudes } from '../quantization/int8_rows';
import type { LoadedModel, ModelOrigin } from './loaded_model';

export type StoredDtype = 'F32' | 'BF16' | 'F16' | 'I8' | 'U8';

/** A tensor as a checkpoint has it, made out of the weights of a loaded model. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /** The bytes in order, in pieces of a few megabytes. */
  read(): AsyncIterable<Uint8Array>;
}

export const dtypeBytes: Readonly<Record<StoredDtype, number>> = { F32: 4, BF16: 2, F16: 2, I8: 1, U8: 1 };

/** What is read at a time: enough for the disk, little beside a model. */
const pieceBytes = 4 * 1024 * 1024;

const dtypes = { float32: 'F32', bfloat16: 'BF16', float16: 'F16' } as const;
type FloatForm = keyof typeof dtypes;

/** Where the rows of a checkpoint's tensor are in the model: row i is row `rows[i]` of weight `weights[i]`, or (-1) nowhere. */
export interface TensorRows {
  readonly part: WeightPart;
  readonly weights: Int32Array;
  readonly rows: Int32Array;
}

/**
 * The tensors of the checkpoint that a model read, from its weights as they are now: floats in the form they are kept in, int8 ones as
 * bitsandbytes has them (`weight`, `SCB`, `weight_format`) where Python has linear layers for them, dequantized otherwise, in such a way
 * that they become the same int8 numbers again. Names and order of rows are the checkpoint's (of a GGUF file: Hugging Face's, which has no stacks).
 * @throws OctoformerError UNSUPPORTED_OPTION for int8 weights that this can't hold
 */
export function storedTensors({ native, program, origin }: LoadedModel): StoredTensor[] {
  const isGguf = origin.files.kind === 'gguf';
  const weights = new StoredWeights(native, program, origin);
  return [...tensorRows(program, origin)].flatMap(([tensor, rows]) =>
    weights.tensors(isGguf ? (origin.tensors.get(tensor)?.name ?? tensor) : tensor, tensor, rows),
  );
}

/** Every tensor that the weights are made of, with the places of its rows. A tensor of two weights is that of the one in float. */
export function tensorRows({ weights }: Program, { files, tensors }: ModelOrigin): Map<string, TensorRows> {
  const isGguf = files.kind === 'gguf';
  const found = new Map<string, TensorRows>();
  const order = [...weights.keys()].sort((a, b) => Number(isInt8(weights[a])) - Number(isInt8(weights[b])));
  for (const index of order) {
    const weight = weights[index] as WeightDescription;
    let first = 0;
    for (const part of weight.parts) {
      const count = rowsOf(part, weight);
      const half = isGguf ? tensors.get(storedName(part))?.half : undefined;
      const name = half?.whole ?? storedName(part);
      let known = found.get(name);
      if (!known) {
        const own = ownShape(part, weight);
        const shape = half ? own.map((size, axis) => (axis === 1 ? 2 * size : size)) : own;
        const all = half ? 2 * count : count;
        known = { part: { ...part, shape }, weights: new Int32Array(all).fill(-1), rows: new Int32Array(all) };
        found.set(name, known);
      }
      // GGUF's order of rows is its own; the model has Hugging Face's.
      const order = isGguf ? orderOfPieces(tensors.get(name)?.rows, count) : rowOrder(part, count);
      const { first: skipped, count: taken } = part.take_rows ?? { first: 0, count };
      for (let row = 0; row < taken; row++) {
        const place = order?.[skipped + row] ?? skipped + row;
        const stored = half ? place + half.rows * (Math.floor(place / half.rows) + half.index) : place;
        if (known.weights[stored] !== -1) continue;
        known.weights[stored] = index;
        known.rows[stored] = first + row;
      }
      first += taken;
    }
  }
  return found;
}

function isInt8(weight: WeightDescription | undefined): boolean {
  return weight?.form === 'int8';
}

/** The shape of a tensor by itself: of one in a stack without the others, of a matrix that a GGUF file has as its only row with both dimensions. */
function ownShape({ shape, entry }: WeightPart, { role }: WeightDescription): readonly number[] {
  const own = entry === undefined ? shape : shape.slice(1);
  return role === 'linear' && own.length === 1 ? [1, ...own] : own;
}

/** Rows of a tensor as the weight sees it: all its numbers for a vector. */
export function rowsOf(part: WeightPart, weight: WeightDescription): number {
  const { role } = weight;
  const { transpose } = part;
  const shape = ownShape(part, weight);
  const all = shape.reduce((product, size) => product * size, 1);
  if (role === 'vector') return all;
  return transpose ? (shape[1] ?? 0) : all / Math.max(shape.at(-1) ?? 1, 1);
}

/** The same for pieces of a tensor, one after another. */
function orderOfPieces(pieces: readonly RowArrangement[] | undefined, count: number): Int32Array | undefined {
  if (!pieces) return undefined;
  const rows = pieces.flatMap((piece) => {
    const { first, count: taken } = piece.take_rows ?? { first: 0, count };
    const order = rowOrder(piece, count) ?? Int32Array.from({ length: count }, (_, row) => row);
    return [...order.subarray(first, first + taken)];
  });
  return Int32Array.from(rows);
}

/** Row i of the permuted tensor is row order[i] of the stored one; undefined: they are the same. */
function rowOrder({ permute_rows }: RowArrangement, count: number): Int32Array | undefined {
  if (!permute_rows) return undefined;
  const { dims, axes } = permute_rows;
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, size) => product * size, 1));
  return Int32Array.from({ length: count }, (_, row) => {
    let rest = row;
    let stored = 0;
    for (const axis of [...axes].reverse()) {
      const size = dims[axis] ?? 1;
      stored += (rest % size) * (strides[axis] ?? 0);
      rest = Math.floor(rest / size);
    }
    return stored;
  });
}

class StoredWeights {
  /** Weights that linear layers alone read: what bitsandbytes can have in int8. */
  readonly #ofLinearLayers: ReadonlySet<number>;

  constructor(
    private readonly native: NativeModel,
    private readonly program: Program,
    private readonly origin: ModelOrigin,
  ) {
    const linear = allOps(program).flatMap((op) => (op.op === 'linear' ? [op.weight] : []));
    const others = new Set(allOps(program).flatMap((op) => (op.op === 'embedding' ? [op.table] : [])));
    this.#ofLinearLayers = new Set(linear.filter((weight) => !others.has(weight)));
  }

  /** One tensor, or the three of an int8 matrix. */
  tensors(name: string, tensor: string, places: TensorRows): StoredTensor[] {
    const indices = [...new Set(places.weights)];
    if (indices.includes(-1)) {
      throw new OctoformerError(
        'INTERNAL',
        `the model reads a part of the rows of '${tensor}' only, so that it can't be written`,
      );
    }
    const descriptions = indices.map((index) => this.program.weights[index] as WeightDescription);
    if (!descriptions.some(isInt8)) return [this.#floats(name, tensor, indices, places)];
    for (const { int8, name: weight } of descriptions) checkInt8(weight, int8);
    const { shape } = places.part;
    const isMatrix = shape.length === 2 && name.endsWith('.weight');
    const isWide = descriptions.some(({ int8 }) => int8?.wide_features !== undefined);
    if (!isMatrix || isWide || !indices.every((index) => this.#ofLinearLayers.has(index)))
      return [this.#dequantized(name, places)];
    const module = name.slice(0, -'.weight'.length);
    const [rows, columns] = [places.rows.length, places.part.transpose ? (shape[0] ?? 0) : (shape[1] ?? 0)];
    return [
      { name, dtype: 'I8', shape: [rows, columns], read: () => this.#int8Rows(places, columns, ({ data }) => data) },
      {
        name: `${module}.SCB`,
        dtype: 'F32',
        shape: [rows],
        read: () => this.#int8Rows(places, columns, ({ scale }) => bytesOf(scaleMagnitudes(scale))),
      },
      // 0: row by row.
      {
        name: `${module}.weight_format`,
        dtype: 'U8',
        shape: [],
        read: async function* () {
          yield Uint8Array.of(0);
        },
      },
    ];
  }

  #floats(name: string, tensor: string, indices: readonly number[], places: TensorRows): StoredTensor {
    const { part } = places;
    const stored = this.origin.tensors.get(tensor);
    // int8 matrices of bitsandbytes, and those of GGUF files, lie the other way round than Hugging Face's, where those are transposed.
    const turned = !part.transpose && stored?.transpose === true;
    const transpose = part.transpose || turned;
    const shape = turned ? [...part.shape].reverse() : part.shape;
    const forms = new Set(indices.map((index) => this.#formOf(index, tensor)));
    const form: FloatForm = forms.size === 1 ? ([...forms][0] as FloatForm) : 'float32';
    const columns = this.#columns(places);
    const dtype = dtypes[form];
    const self = this;
    return {
      name,
      dtype,
      shape,
      async *read() {
        if (transpose && indices.length === 1) {
          yield await callNative(() => self.native.readWeight(indices[0] ?? 0, places.rows, form, true));
          return;
        }
        if (transpose) throw new OctoformerError('INTERNAL', `'${name}' is transposed and in several weights`);
        for (const { weight, rows } of pieces(places, columns * dtypeBytes[dtype])) {
          const bytes = await callNative(() => self.native.readWeight(weight, rows, form, false));
          yield stored?.added ? bytesOf(floatsOf(bytes).map((value) => value - (stored.added ?? 0))) : bytes;
        }
      },
    };
  }

  /** Vectors are float32 in the model, but are written as the checkpoint had them, which loses nothing. */
  #formOf(index: number, tensor: string): FloatForm {
    const { role } = this.program.weights[index] as WeightDescription;
    if (role === 'linear') return this.native.weightInfo(index).form as FloatForm;
    const { dtype: own, added } = this.origin.tensors.get(tensor) ?? {};
    const stored = this.origin.dtype === 'auto' && !added ? own : undefined;
    const [form] = Object.entries(dtypes).find(([, dtype]) => dtype === stored) ?? [];
    return (form as FloatForm | undefined) ?? 'float32';
  }

  #dequantized(name: string, places: TensorRows): StoredTensor {
    const { shape, transpose } = places.part;
    if (transpose) {
      throw new OctoformerError(
        'UNSUPPORTED_OPTION',
        `'${name}' is int8 and stored the other way round, which can't be written; leave it in float`,
      );
    }
    const columns = this.#columns(places);
    return {
      name,
      dtype: 'F32',
      shape,
      read: () => this.#dequantizedRows(places, columns),
    };
  }

  async *#dequantizedRows(places: TensorRows, columns: number): AsyncGenerator<Uint8Array> {
    for (const { weight, rows } of pieces(places, columns)) {
      const { data, scale } = await callNative(() => this.native.readInt8Weight(weight, rows));
      const bytes = dequantizedBytes(data, scale, columns);
      const { wideFeatures } = callNative(() => this.native.weightInfo(weight));
      if (wideFeatures) {
        const values = await callNative(() => this.native.readWeight(weight, rows, 'float32', false));
        for (let row = 0; row < rows.length; row++) {
          for (const feature of wideFeatures) {
            const place = 4 * (row * columns + feature);
            bytes.set(values.subarray(place, place + 4), place);
          }
        }
      }
      yield bytes;
    }
  }

  async *#int8Rows(
    places: TensorRows,
    columns: number,
    convert: (rows: { readonly data: Uint8Array; readonly scale: Float32Array }) => Uint8Array,
  ): AsyncGenerator<Uint8Array> {
    for (const { weight, rows } of pieces(places, columns)) {
      yield convert(await callNative(() => this.native.readInt8Weight(weight, rows)));
    }
  }

  #columns({ weights }: TensorRows): number {
    return this.program.weights[weights[0] ?? 0]?.shape[1] ?? 1;
  }
}

/** Rows one after another in pieces of a few megabytes, each of one weight. */
export function* pieces(
  { weights, rows }: Pick<TensorRows, 'weights' | 'rows'>,
  rowBytes: number,
): Generator<{ weight: number; rows: Int32Array }> {
  const most = Math.max(1, Math.floor(pieceBytes / Math.max(rowBytes, 1)));
  for (let first = 0; first < rows.length; ) {
    const weight = weights[first] ?? 0;
    let end = first + 1;
    while (end < rows.length && end - first < most && weights[end] === weight) end++;
    yield { weight, rows: rows.slice(first, end) };
    first = end;
  }
}

export function floatsOf({ buffer, byteOffset, byteLength }: Uint8Array): Float32Array {
  return new Float32Array(buffer, byteOffset, byteLength / Float32Array.BYTES_PER_ELEMENT);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function checkInt8(weight: string, int8: WeightDescription['int8']): void {
  const reason =
    int8?.weights === 'zeropoint'
      ? 'has zero points, for which bitsandbytes has no place'
      : int8?.float_outlier_weights
        ? 'keeps its float32 numbers for outliers, which would be lost'
        : int8?.group_size
          ? `has a scale for every ${int8.group_size} inputs, and bitsandbytes has one a row`
          : undefined;
  if (reason === undefined) return;
  const remedy = int8?.group_size
    ? `with { scheme: 'int8-weight-only', groupSize: 0 } or another scheme`
    : `with another scheme ('int8', 'llm.int8', 'vector-wise')`;
  throw new OctoformerError(
    'UNSUPPORTED_OPTION',
    `the int8 weight '${weight}' ${reason}; load the model ${remedy} to save it in int8, or with quantization 'none' to save floats`,
  );
}
