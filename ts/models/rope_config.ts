import { OctoformerError } from '../binding/error';
import { closest } from '../binding/options';
import { type RopeParameters, ropeTypes } from '../modules/rope_parameters';
import { type ModelConfig, maxPositions } from './config';

/** Types whose frequencies are made from the length that the model was trained at. */
const scaledTypes: ReadonlySet<string> = new Set(['llama3', 'yarn', 'longrope']);

/**
 * The rotary embedding's parameters from any spelling that configurations have: `rope_parameters` (since transformers 5; perhaps by
 * layer type), or `rope_theta` beside `rope_scaling` with `rope_type` or `type` in it.
 * @param layerType for configurations with parameters by layer type
 * @throws OctoformerError INVALID_CHECKPOINT naming key and value
 */
export function ropeParameters(config: ModelConfig, headDim: number, layerType?: string): RopeParameters {
  const shared = config.section('rope_scaling') ?? config.section('rope_parameters');
  const section = layerType ? (shared?.section(layerType) ?? shared) : shared;
  const type = ropeType(config, section);
  const max_position_embeddings = config.integer('max_position_embeddings', { most: maxPositions });
  const number = (key: string, least = 0, most = 1e9): number | undefined =>
    section?.get(key) === undefined ? undefined : section.number(key, { least, most });
  const factors = (key: string) =>
    section?.list(key, 1, (value): value is number => typeof value === 'number' && Number.isFinite(value), 'a number');
  return withoutUndefined({
    rope_type: type,
    rope_theta:
      number('rope_theta', 1, 1e15) ?? config.number('rope_theta', { least: 1, most: 1e15, otherwise: 10000 }),
    head_dim: headDim,
    partial_rotary_factor:
      number('partial_rotary_factor', 0, 1) ?? config.number('partial_rotary_factor', { most: 1, otherwise: 1 }),
    max_position_embeddings,
    original_max_position_embeddings: scaledTypes.has(type)
      ? config.integer('original_max_position_embeddings', {
          least: 2,
          most: maxPositions,
          otherwise: number('original_max_position_embeddings', 2, maxPositions) ?? max_position_embeddings,
        })
      : undefined,
    factor: number('factor', 1e-6),
    attention_factor: number('attention_factor'),
    beta_fast: number('beta_fast'),
    beta_slow: number('beta_slow'),
    mscale: number('mscale'),
    mscale_all_dim: number('mscale_all_dim'),
    truncate: section?.get('truncate') === undefined ? undefined : section.boolean('truncate'),
    low_freq_factor: number('low_freq_factor', 1e-6),
    high_freq_factor: number('high_freq_factor', 1e-6),
    short_factor: factors('short_factor'),
    long_factor: factors('long_factor'),
  });
}

function ropeType(config: ModelConfig, section: ModelConfig | undefined): RopeParameters['rope_type'] {
  const given = section?.string('rope_type', section.string('type', 'default')) ?? 'default';
  // Phi-3's first files said 'su' for what became 'longrope', and Phi3Config reads 'yarn' so too.
  const phi3 = config.model_type === 'phi3';
  const name = given === 'su' || (phi3 && given === 'yarn') ? 'longrope' : given;
  const known = ropeTypes.find((type) => type === name);
  if (known) return known;
  const near = closest(name, ropeTypes);
  throw new OctoformerError(
    'INVALID_CHECKPOINT',
    `${section?.file ?? config.file}: rope type '${given}' is not known${near ? `; did you mean '${near}'?` : `; there are ${ropeTypes.join(', ')}`}`,
  );
}

type Optional<T> = { [K in keyof T]: T[K] | undefined };

function withoutUndefined(parameters: Optional<RopeParameters>): RopeParameters {
  return Object.fromEntries(
    Object.entries(parameters).filter(([, value]) => value !== undefined),
  ) as unknown as RopeParameters;
}
