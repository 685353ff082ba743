import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ops } from '../../../ts';
import { failure } from '../failure';
import { goldensFolder } from '../goldens_folder';

describe('the worked examples of the paper and of its article', () => {
  it('absmax: 0.1 of at most 3.2 is 4, and back 0.1008', () => {
    const q = ops.quantize(Float32Array.of(0.1, -3.2), { rows: 1, cols: 2, scheme: 'absmax' });
    expect([...q.data]).toEqual([4, -127]);
    expect(ops.dequantize(q)[0]).toBeCloseTo(0.1008, 4);
  });

  it('zeropoint: 0.1 in [-3, 3.2] is -1: scale 41.13, zero point -5', () => {
    const q = ops.quantize(Float32Array.of(-3, 0.1, 3.2), { rows: 1, cols: 3, scheme: 'zeropoint' });
    expect(1 / (q.scale[0] ?? 0)).toBeCloseTo(41.13, 2);
    expect([...(q.zeroPoint ?? [])]).toEqual([-5]);
    expect(q.data[1]).toBe(-1);
  });
});

interface Stored {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** All tensors of the golden file, read apart from the code under test. */
function readGoldens(path: string): ReadonlyMap<string, Stored> {
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

const goldenFile = join(goldensFolder() ?? '', 'quantization', 'golden.safetensors');
if (goldensFolder() && existsSync(goldenFile)) {
  const goldens = readGoldens(goldenFile);
  const values = (name: string) => goldens.get(name)?.values ?? [];
  const cases = [...goldens.keys()].filter((name) => name.endsWith('.a')).map((name) => name.slice(0, -2));

  /** Floats: 1e-5 of the largest, as the goldens' README has it; `out` has the bias in it. */
  const expectFloats = (actual: Iterable<number>, expected: readonly number[]) => {
    const found = [...actual];
    expect(found.length).toBe(expected.length);
    const largest = Math.max(...expected.map(Math.abs), 0);
    for (const [index, value] of expected.entries()) {
      expect(Math.abs((found[index] ?? Number.NaN) - value)).toBeLessThanOrEqual(1e-5 * largest);
    }
  };

  describe.each(cases)('%s', (name) => {
    const [m = 0, k = 0] = goldens.get(`${name}.a`)?.shape ?? [];
    const [n = 0] = goldens.get(`${name}.w`)?.shape ?? [];
    const a = Float32Array.from(values(`${name}.a`));
    const w = Float32Array.from(values(`${name}.w`));
    const bias = values(`${name}.bias`);
    const withBias = (out: Float32Array) => [...out].map((value, index) => value + (bias[index % n] ?? 0));

    it.each([
      ['absmax', 'absmax', 'absmax'],
      ['row_wise', 'row-wise', 'absmax'],
      ['vector_wise', 'vector-wise', 'vector-wise'],
      ['zeropoint', 'zeropoint', 'zeropoint'],
      ['vector_wise_zeropoint', 'vector-wise-zeropoint', 'vector-wise-zeropoint'],
    ] as const)('%s', (golden, schemeOfA, schemeOfW) => {
      const qa = ops.quantize(a, { rows: m, cols: k, scheme: schemeOfA });
      const qw = ops.quantize(w, { rows: n, cols: k, scheme: schemeOfW });
      expect([...qa.data]).toEqual(values(`${name}.${golden}.a_q`));
      expect([...qw.data]).toEqual(values(`${name}.${golden}.w_q`));
      expect([...(qa.zeroPoint ?? [])]).toEqual(values(`${name}.${golden}.a_zero`));
      expectFloats(qa.scale, values(`${name}.${golden}.a_scale`));
      const product = ops.int8Matmul(qa, qw);
      expect([...product.data]).toEqual(values(`${name}.${golden}.acc`));
      const centered = goldens.get(`${name}.${golden}.acc_centered`);
      expect([...product.centered]).toEqual(centered?.values ?? [...product.data]);
      expectFloats(withBias(product.scaled), values(`${name}.${golden}.out`));
    });

    it.each(['token', 'column'] as const)('LLM.int8(), %s', (outliers) => {
      const golden = `${name}.llm_int8_${outliers}`;
      const { data, outlierColumns } = ops.llmInt8Matmul(a, w, { m, n, k, outliers });
      expectFloats(withBias(data), values(`${golden}.out`));
      expect(outlierColumns).toEqual(values(`${golden}.outlier_columns`));
      const quantized = ops.quantize(w, { rows: n, cols: k });
      expect(ops.llmInt8Matmul(a, quantized, { m, n, k, outliers }).data).toEqual(data);
    });
  });
}

it('outliers can meet the float32 weights, as in the paper', () => {
  const weight = Float32Array.of(0.3, 0.5, -1, 0.7);
  const options = { m: 1, n: 2, k: 2, outlierWeights: 'float32' } as const;
  // Both entries are outliers, so that the product is the float one.
  const { data, outlierColumns } = ops.llmInt8Matmul(Float32Array.of(8, -6), weight, options);
  expect(outlierColumns).toEqual([0, 1]);
  expect(data[0]).toBeCloseTo(8 * 0.3 - 6 * 0.5, 5);
  expect(data[1]).toBeCloseTo(-8 - 6 * 0.7, 5);
});

describe('sizes', () => {
  it('empty matrices are fine', () => {
    const none = ops.quantize(new Float32Array(), { rows: 0, cols: 5 });
    const some = ops.quantize(new Float32Array(10).fill(1), { rows: 2, cols: 5 });
    expect(ops.int8Matmul(none, some).data.length).toBe(0);
    const noDepth = ops.quantize(new Float32Array(), { rows: 3, cols: 0 });
    expect([...ops.int8Matmul(noDepth, noDepth).data]).toEqual(new Array(9).fill(0));
  });

  it.each([
    [() => ops.quantize(new Float32Array(5), { rows: 2, cols: 3 }), 'SHAPE_MISMATCH', '5 numbers'],
    [() => ops.quantize(new Float32Array(5), { rows: 2 ** 32, cols: 2 ** 32 }), 'SHAPE_MISMATCH', 'more than'],
    [() => ops.quantize([1, 2] as unknown as Float32Array, { rows: 1, cols: 2 }), 'INVALID_ARGUMENT', 'Float32Array'],
    [() => ops.quantize(new Float32Array(2), { rows: 1, cols: 2.5 }), 'INVALID_ARGUMENT', 'cols'],
    [
      () => ops.quantize(new Float32Array(2), { rows: 1, cols: 2, scheme: 'absmin' as 'absmax' }),
      'INVALID_ARGUMENT',
      'absmax',
    ],
    [
      () => ops.dequantize({ rows: 1, cols: 2, data: new Int8Array(3), scale: new Float32Array(1) }),
      'SHAPE_MISMATCH',
      'data',
    ],
    [
      () => ops.dequantize({ rows: 2, cols: 1, data: new Int8Array(2), scale: new Float32Array(3) }),
      'SHAPE_MISMATCH',
      'scale',
    ],
    [
      () => ops.llmInt8Matmul(new Float32Array(4), new Float32Array(6), { m: 2, n: 2, k: 2 }),
      'SHAPE_MISMATCH',
      '6 numbers',
    ],
    [
      () =>
        ops.llmInt8Matmul(new Float32Array(4), ops.quantize(new Float32Array(6), { rows: 3, cols: 2 }), {
          m: 2,
          n: 2,
          k: 2,
        }),
      'SHAPE_MISMATCH',
      '[3, 2]',
    ],
  ] as const)('%#: refused', (call, code, part) => {
    const error = failure(call);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
  });

  it('rows so long that int32 could overflow are refused', () => {
    const long = ops.quantize(new Float32Array(65_794), { rows: 1, cols: 65_794 });
    expect(failure(() => ops.int8Matmul(long, long)).message).toContain('65793');
  });
});
