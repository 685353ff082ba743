import { type RopeParameters, ropeTable, rotaryColumns } from '../../../ts/modules/rope_parameters';
import { failure } from '../failure';

const plain: RopeParameters = { rope_type: 'default', rope_theta: 10000, head_dim: 16, max_position_embeddings: 128 };

/**
 * Two units in the last place of float32 (each at most 2 ** -23 of the value): two libraries' pow may differ by one, and rounding
 * the reciprocal may make it two.
 */
function expectFloats(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) {
    expect(Math.abs((actual[index] ?? Number.NaN) - value)).toBeLessThanOrEqual(2 * 2 ** -23 * Math.abs(value));
    expect(actual[index]).toBe(Math.fround(actual[index] ?? Number.NaN));
  }
}

// Expected frequencies: numpy in float32, step by step as transformers.modeling_rope_utils computes them.
describe('ropeTable', () => {
  it('default: theta ** (-2i / dim)', () => {
    const { inv_freq, attention_factor, long, dynamic } = ropeTable(plain);
    expectFloats(
      inv_freq,
      [
        1, 0.3162277638912201, 0.10000000149011612, 0.03162277862429619, 0.009999999776482582, 0.003162277862429619,
        0.0010000000474974513, 0.0003162277862429619,
      ],
    );
    expect([attention_factor, long, dynamic]).toEqual([1, undefined, undefined]);
  });

  it('linear: divided by the factor', () => {
    const { inv_freq } = ropeTable({ ...plain, rope_type: 'linear', head_dim: 12, factor: 4 });
    expectFloats(
      inv_freq,
      [
        0.25, 0.0538608692586422, 0.011603971011936665, 0.0024999999441206455, 0.0005386085831560194,
        0.0001160397514468059,
      ],
    );
  });

  it('llama3: short wavelengths stay, long ones are divided, those between are blended', () => {
    const { inv_freq } = ropeTable({
      ...plain,
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    });
    expectFloats(
      inv_freq,
      [
        1.0, 0.0958399772644043, 0.012500000186264515, 0.0039528473280370235, 0.0012499999720603228,
        0.00039528473280370235, 0.0001250000059371814, 3.9528473280370235e-5,
      ],
    );
  });

  it('yarn: a ramp between the two, and an attention factor of 0.1 ln(factor) + 1', () => {
    const yarn: RopeParameters = {
      ...plain,
      rope_type: 'yarn',
      head_dim: 12,
      factor: 4,
      original_max_position_embeddings: 32,
    };
    const { inv_freq, attention_factor } = ropeTable(yarn);
    expectFloats(
      inv_freq,
      [
        1, 0.13465216755867004, 0.011603971011936665, 0.0024999999441206455, 0.0005386085831560194,
        0.0001160397514468059,
      ],
    );
    expect(attention_factor).toBeCloseTo(1.138629436111989, 12);
    expect(ropeTable({ ...yarn, mscale: 1, mscale_all_dim: 1 }).attention_factor).toBe(1);
    expect(ropeTable({ ...yarn, attention_factor: 0.5 }).attention_factor).toBe(0.5);
    // Without truncation the ramp runs from 0 to 12 ln(32 / 2 pi) / (2 ln 10000) = 1.0604, so that pair 1 is 0.943 interpolated.
    const untruncated = ropeTable({ ...yarn, truncate: false }).inv_freq[1] ?? 0;
    const [extrapolated, share] = [10000 ** (-2 / 12), 1 / 1.0604];
    expect(untruncated).toBeCloseTo(extrapolated * (1 - share) + (extrapolated / 4) * share, 4);
  });

  it('longrope: short factors, long ones beyond the original length, sqrt(1 + ln(ratio) / ln(original))', () => {
    const longrope: RopeParameters = {
      ...plain,
      rope_type: 'longrope',
      head_dim: 8,
      max_position_embeddings: 131072,
      original_max_position_embeddings: 4096,
      short_factor: [1, 1.1, 1.25, 2],
      long_factor: [1.5, 3, 6.5, 11],
    };
    const { inv_freq, attention_factor, long } = ropeTable(longrope);
    expectFloats(inv_freq, [1, 0.09090909361839294, 0.00800000037997961, 0.0005000000237487257]);
    expectFloats(
      long?.inv_freq ?? [],
      [0.6666666865348816, 0.03333333507180214, 0.0015384615398943424, 9.09090886125341e-5],
    );
    expect(attention_factor).toBeCloseTo(1.1902380714238083, 12);
    expect([long?.original_max, long?.attention_factor]).toEqual([4096, attention_factor]);
    const wrong = failure(() => ropeTable({ ...longrope, long_factor: [1, 2, 3] }));
    expect([wrong.code, wrong.message]).toEqual([
      'INVALID_CHECKPOINT',
      expect.stringContaining("'long_factor' must be 4"),
    ]);
    const same = ropeTable({ ...longrope, long_factor: [1, 1.1, 1.25, 2] });
    expect(same.long).toBeUndefined();
  });

  it('dynamic: the runtime gets what it needs for longer sequences', () => {
    const { inv_freq, dynamic } = ropeTable({ ...plain, rope_type: 'dynamic', factor: 2 });
    expect(inv_freq).toEqual(ropeTable(plain).inv_freq);
    expect(dynamic).toEqual({ max: 128, base: 10000, factor: 2 });
  });

  it('names a parameter that is missing', () => {
    const error = failure(() => ropeTable({ ...plain, rope_type: 'linear' }));
    expect([error.code, error.message]).toEqual(['INVALID_CHECKPOINT', expect.stringContaining("lack 'factor'")]);
  });
});

describe('rotaryColumns', () => {
  it('takes the share of the head that is rotated', () => {
    expect(rotaryColumns({ ...plain, head_dim: 128, partial_rotary_factor: 0.75 })).toBe(96);
    expect(rotaryColumns({ ...plain, head_dim: 80, partial_rotary_factor: 0.4 })).toBe(32);
    expect(rotaryColumns({ ...plain, head_dim: 10, partial_rotary_factor: 0.5 })).toBe(6); // 5, rounded up as arange(0, 5, 2) does
  });

  it('refuses an odd head and a share of nothing', () => {
    expect(failure(() => rotaryColumns({ ...plain, head_dim: 13 })).code).toBe('INVALID_CHECKPOINT');
    expect(failure(() => rotaryColumns({ ...plain, partial_rotary_factor: 0 })).code).toBe('INVALID_CHECKPOINT');
  });
});
