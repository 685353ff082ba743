import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ops } from '../../../ts';
import { type Comparison, largestDifference, largestMagnitude, sameBits } from './comparison';

interface Stored {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** All tensors of a golden file, read apart from the code under test. */
function readTensors(path: string): ReadonlyMap<string, Stored> {
  const bytes = readFileSync(path);
  const begin = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, begin)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const read: Readonly<Record<string, [number, (place: number) => number]>> = {
    F32: [4, (place) => bytes.readFloatLE(place)],
    I32: [4, (place) => bytes.readInt32LE(place)],
    I64: [8, (place) => Number(bytes.readBigInt64LE(place))],
    I8: [1, (place) => bytes.readInt8(place)],
  };
  return new Map(
    Object.entries(header).flatMap(([name, { dtype, shape, data_offsets }]): [string, Stored][] => {
      const [size, number] = read[dtype] ?? [];
      if (size === undefined || number === undefined) return [];
      const count = (data_offsets[1] - data_offsets[0]) / size;
      const values = Array.from({ length: count }, (_, index) => number(begin + data_offsets[0] + index * size));
      return [[name, { shape, values }]];
    }),
  );
}

/** The golden files' schemes, and those of `ops.quantize` for activations and weights. */
const schemes = {
  absmax: ['absmax', 'absmax'],
  row_wise: ['row-wise', 'absmax'],
  vector_wise: ['vector-wise', 'vector-wise'],
  zeropoint: ['zeropoint', 'zeropoint'],
  vector_wise_zeropoint: ['vector-wise-zeropoint', 'vector-wise-zeropoint'],
} as const;

/** A pair of small matrices, and what every scheme makes of them. */
export class QuantizationCase {
  readonly #m: number;
  readonly #k: number;
  readonly #n: number;
  readonly #a: Float32Array;
  readonly #w: Float32Array;

  constructor(
    readonly name: string,
    readonly tensors: ReadonlyMap<string, Stored>,
  ) {
    [this.#m = 0, this.#k = 0] = tensors.get(`${name}.a`)?.shape ?? [];
    [this.#n = 0] = tensors.get(`${name}.w`)?.shape ?? [];
    this.#a = Float32Array.from(this.#values('a'));
    this.#w = Float32Array.from(this.#values('w'));
  }

  #values(name: string): readonly number[] {
    return this.tensors.get(`${this.name}.${name}`)?.values ?? [];
  }

  /** Integers exactly, floats to 1e-5 of the largest, as the goldens' README has it. */
  compare(): Comparison[] {
    return [
      ...(Object.keys(schemes) as (keyof typeof schemes)[]).flatMap((scheme) => this.#compareScheme(scheme)),
      ...(['token', 'column'] as const).flatMap((outliers) => this.#compareOutliers(outliers)),
    ];
  }

  #compareScheme(golden: keyof typeof schemes): Comparison[] {
    const [schemeOfA, schemeOfW] = schemes[golden];
    const qa = ops.quantize(this.#a, { rows: this.#m, cols: this.#k, scheme: schemeOfA });
    const qw = ops.quantize(this.#w, { rows: this.#n, cols: this.#k, scheme: schemeOfW });
    const product = ops.int8Matmul(qa, qw);
    const centered = this.tensors.has(`${this.name}.${golden}.acc_centered`) ? 'acc_centered' : 'acc';
    return [
      ...this.#integers(golden, {
        a_q: qa.data,
        w_q: qw.data,
        a_zero: qa.zeroPoint ?? [],
        w_zero: qw.zeroPoint ?? [],
        acc: product.data,
        [centered]: product.centered,
      }),
      ...this.#floats(golden, { a_scale: qa.scale, w_scale: qw.scale, out: this.#withBias(product.scaled) }),
    ];
  }

  #compareOutliers(outliers: 'token' | 'column'): Comparison[] {
    const golden = `llm_int8_${outliers}`;
    const shape = { m: this.#m, n: this.#n, k: this.#k, outliers };
    const { data, outlierColumns } = ops.llmInt8Matmul(this.#a, this.#w, shape);
    const quantized = ops.quantize(this.#w, { rows: this.#n, cols: this.#k });
    return [
      ...this.#floats(golden, { out: this.#withBias(data) }),
      ...this.#integers(golden, { outlier_columns: outlierColumns }),
      sameBits(`${this.name}.${golden} of int8 weights`, ops.llmInt8Matmul(this.#a, quantized, shape).data, data),
    ];
  }

  #withBias(out: Float32Array): number[] {
    const bias = this.#values('bias');
    return [...out].map((value, index) => value + (bias[index % this.#n] ?? 0));
  }

  #integers(golden: string, found: Readonly<Record<string, ArrayLike<number>>>): Comparison[] {
    return Object.entries(found).map(([name, values]) =>
      sameBits(`${this.name}.${golden}.${name}`, Array.from(values), this.#values(`${golden}.${name}`)),
    );
  }

  #floats(golden: string, found: Readonly<Record<string, ArrayLike<number>>>): Comparison[] {
    return Object.entries(found).map(([name, values]) => {
      const expected = this.#values(`${golden}.${name}`);
      return {
        name: `${this.name}.${golden}.${name}`,
        difference: largestDifference(values, expected),
        allowed: 1e-5 * largestMagnitude(expected),
      };
    });
  }
}

/** The cases of a folder; none if there is no such folder. */
export function quantizationCases(folder: string): QuantizationCase[] {
  const file = join(folder, 'golden.safetensors');
  if (!existsSync(file)) return [];
  const tensors = readTensors(file);
  return [...tensors.keys()]
    .filter((name) => name.endsWith('.a'))
    .map((name) => new QuantizationCase(name.slice(0, -'.a'.length), tensors));
}
