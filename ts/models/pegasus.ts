import type { Architecture } from './architecture';
import { bartDefaults, bartLike } from './bart_like';

/** Pegasus (Zhang et al. 2019): norms before the branches, sinusoidal positions. */
export const pegasus: Architecture = {
  model_type: 'pegasus',
  family: 'Pegasus',
  tasks: ['seq2seq-lm', 'base'],
  defaults: {
    ...bartDefaults,
    decoder_start_token_id: 0,
    pad_token_id: 0,
    eos_token_id: 1,
    bos_token_id: null,
    forced_eos_token_id: 1,
  },
  build(config, g, task) {
    bartLike(config, g, task, {
      family: 'Pegasus',
      norms: 'pre',
      embeddingNorm: false,
      positions: { kind: 'sinusoidal' },
      logitsBias: true,
    });
  },
};
