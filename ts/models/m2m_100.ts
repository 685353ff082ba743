import type { Architecture } from './architecture';
import { bartDefaults, bartLike } from './bart_like';

/** M2M-100 (Fan et al. 2020) and NLLB: norms before the branches, sinusoidal positions that padding has no part in. */
export const m2m100: Architecture = {
  model_type: 'm2m_100',
  family: 'M2M100',
  tasks: ['seq2seq-lm', 'base'],
  defaults: {
    ...bartDefaults,
    vocab_size: 128112,
    activation_function: 'relu',
    scale_embedding: true,
    decoder_start_token_id: 2,
    forced_eos_token_id: null,
  },
  /** Padding is not counted. */
  positions(config, ids) {
    const padding = config.integer('pad_token_id', { least: 0 });
    let position = -1;
    return ids.map((id) => (id === padding ? 0 : ++position));
  },
  unlimitedPositions: true,
  build(config, g, task) {
    const half = config.integer('d_model') / 2;
    const paddingId = config.integer('pad_token_id', { least: 0 });
    bartLike(config, g, task, {
      family: 'M2M100',
      norms: 'pre',
      embeddingNorm: false,
      positions: {
        kind: 'sinusoidal',
        // tensor2tensor's angles, whose last is 1 / 10000 itself; the table's first rows are for padding.
        frequencies: Array.from({ length: Math.ceil(half) }, (_, index) => 10_000 ** (-index / (half - 1))),
        offset: paddingId + 1,
        paddingId,
      },
      logitsBias: false,
    });
  },
};
