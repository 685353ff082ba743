import { OctoformerError } from '../binding/error';
import type { RopeTableOp } from '../graph/program';

export const ropeTypes = ['default', 'linear', 'dynamic', 'yarn', 'longrope', 'llama3'] as const;

/** What a rotary embedding is computed from, with Hugging Face's names (`rope_parameters` of a configuration). */
export interface RopeParameters {
  readonly rope_type: (typeof ropeTypes)[number];
  readonly rope_theta: number;
  readonly head_dim: number;
  /** The share of each head that is rotated; 1: all of it. */
  readonly partial_rotary_factor?: number;
  readonly max_position_embeddings: number;
  readonly factor?: number;
  readonly original_max_position_embeddings?: number;
  readonly attention_factor?: number;
  readonly beta_fast?: number;
  readonly beta_slow?: number;
  readonly mscale?: number;
  readonly mscale_all_dim?: number;
  readonly truncate?: boolean;
  readonly low_freq_factor?: number;
  readonly high_freq_factor?: number;
  readonly short_factor?: readonly number[];
  readonly long_factor?: readonly number[];
}

/** The part of a rope table op that depends on the parameters. */
export type RopeTable = Pick<RopeTableOp, 'inv_freq' | 'attention_factor' | 'long' | 'dynamic'>;

/** Every step is rounded to float32, as PyTorch rounds it: positions multiply the frequencies, so their last bits show. */
const round = Math.fround;

/** A number over a tensor's element: PyTorch multiplies by the reciprocal, which rounds twice. */
function divide(number: number, element: number): number {
  return round(round(1 / element) * round(number));
}

/**
 * Inverse frequencies (radians a position, one a rotated pair) and the factor of cosines and sines, equal to what
 * `transformers.modeling_rope_utils` (version 5) computes. Sources of the methods: rotary embedding (Su et al. 2021), NTK-aware
 * scaling and YaRN (Peng et al. 2023, sections 3 and 3.4), LongRoPE (Ding et al. 2024), Llama 3.1 (its reference code).
 * @throws OctoformerError INVALID_CHECKPOINT when a parameter that the type needs is missing or doesn't fit
 */
export function ropeTable(parameters: RopeParameters): RopeTable {
  const { rope_type: type } = parameters;
  const base = baseFrequencies(parameters);
  switch (type) {
    case 'default':
      return { inv_freq: base, attention_factor: 1 };
    case 'linear': {
      const factor = need(parameters, 'factor');
      return { inv_freq: base.map((frequency) => round(frequency / factor)), attention_factor: 1 };
    }
    case 'dynamic':
      return {
        inv_freq: base,
        attention_factor: 1,
        dynamic: {
          max: parameters.max_position_embeddings,
          base: parameters.rope_theta,
          factor: need(parameters, 'factor'),
        },
      };
    case 'llama3':
      return { inv_freq: llama3(parameters, base), attention_factor: 1 };
    case 'yarn':
      return yarn(parameters);
    case 'longrope':
      return longrope(parameters);
  }
}

/** Columns of each head that are rotated: an even number. */
export function rotaryColumns({ head_dim, partial_rotary_factor = 1 }: RopeParameters): number {
  const columns = 2 * Math.ceil(Math.trunc(head_dim * partial_rotary_factor) / 2);
  if (columns < 2 || columns > head_dim) {
    throw new OctoformerError(
      'INVALID_CHECKPOINT',
      `head_dim ${head_dim} with partial_rotary_factor ${partial_rotary_factor} leaves no even number of columns to rotate`,
    );
  }
  return columns;
}

/** theta ** (2i / dim), one a pair. */
function powers(parameters: RopeParameters): number[] {
  const { rope_theta, head_dim, partial_rotary_factor = 1 } = parameters;
  const theta = round(rope_theta);
  const dim = Math.trunc(head_dim * partial_rotary_factor);
  return Array.from({ length: rotaryColumns(parameters) / 2 }, (_, pair) => round(theta ** round((2 * pair) / dim)));
}

function baseFrequencies(parameters: RopeParameters): number[] {
  return powers(parameters).map((power) => round(1 / power));
}

function llama3(parameters: RopeParameters, base: readonly number[]): number[] {
  const factor = need(parameters, 'factor');
  const low = need(parameters, 'low_freq_factor');
  const high = need(parameters, 'high_freq_factor');
  const context = need(parameters, 'original_max_position_embeddings');
  return base.map((frequency) => {
    const wavelength = divide(2 * Math.PI, frequency);
    const scaled = wavelength > context / low ? round(frequency / factor) : frequency;
    if (wavelength < context / high || wavelength > context / low) return scaled;
    const smooth = round(round(divide(context, wavelength) - low) / round(high - low));
    return round(round(round(round(1 - smooth) * scaled) / factor) + round(smooth * scaled));
  });
}

function yarn(parameters: RopeParameters): RopeTable {
  const { rope_theta: theta, head_dim, partial_rotary_factor = 1, truncate = true } = parameters;
  const context = need(parameters, 'original_max_position_embeddings');
  const factor = parameters.factor ?? parameters.max_position_embeddings / context;
  const dim = Math.trunc(head_dim * partial_rotary_factor);

  /** The dimension whose wavelength fits `rotations` times into the original context. */
  const correction = (rotations: number) =>
    (dim * Math.log(context / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const bound = (value: number, whole: (value: number) => number) => (truncate ? whole(value) : value);
  const low = Math.max(bound(correction(parameters.beta_fast || 32), Math.floor), 0);
  let high = Math.min(bound(correction(parameters.beta_slow || 1), Math.ceil), dim - 1);
  if (low === high) high += 0.001;

  const inv_freq = powers(parameters).map((power, pair) => {
    const extrapolated = round(1 / power);
    const interpolated = round(1 / round(round(factor) * power));
    const ramp = Math.min(Math.max(round(round(pair - round(low)) / round(high - low)), 0), 1);
    const keep = round(1 - ramp);
    return round(round(interpolated * round(1 - keep)) + round(extrapolated * keep));
  });
  return { inv_freq, attention_factor: parameters.attention_factor ?? yarnAttentionFactor(parameters, factor) };
}

function yarnAttentionFactor({ mscale, mscale_all_dim }: RopeParameters, factor: number): number {
  const scale = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  return mscale && mscale_all_dim ? scale(mscale) / scale(mscale_all_dim) : scale(1);
}

function longrope(parameters: RopeParameters): RopeTable {
  const context = need(parameters, 'original_max_position_embeddings');
  const factor = parameters.factor ?? parameters.max_position_embeddings / context;
  const attention_factor =
    parameters.attention_factor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(context)));
  const powersOfTheta = powers(parameters);
  const scaled = (key: 'short_factor' | 'long_factor') => {
    const factors = need(parameters, key);
    if (factors.length !== powersOfTheta.length || factors.some((value) => !(value > 0))) {
      throw new OctoformerError(
        'INVALID_CHECKPOINT',
        `the rope parameters' '${key}' must be ${powersOfTheta.length} positive numbers (one a rotated pair), not ${factors.length}`,
      );
    }
    return powersOfTheta.map((power, pair) => round(1 / round(round(factors[pair] ?? 1) * power)));
  };
  const [short, long] = [scaled('short_factor'), scaled('long_factor')];
  const same = short.every((frequency, pair) => frequency === long[pair]);
  return {
    inv_freq: short,
    attention_factor,
    ...(same ? {} : { long: { original_max: context, inv_freq: long, attention_factor } }),
  };
}

function need<Key extends keyof RopeParameters>(
  parameters: RopeParameters,
  key: Key,
): NonNullable<RopeParameters[Key]> {
  const value = parameters[key];
  if (value !== undefined) return value as NonNullable<RopeParameters[Key]>;
  throw new OctoformerError(
    'INVALID_CHECKPOINT',
    `the configuration's rope parameters of type '${parameters.rope_type}' lack '${key}'`,
  );
}
