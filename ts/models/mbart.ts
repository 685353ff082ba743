import type { Architecture } from './architecture';
import { shiftedRight } from './bart';
import { bartDefaults, bartLike } from './bart_like';

/** mBART and mBART-50 (Liu et al. 2020): BART with norms before the branches, for many languages. */
export const mbart: Architecture = {
  model_type: 'mbart',
  family: 'MBart',
  tasks: ['seq2seq-lm', 'base', 'sequence-classification', 'question-answering'],
  defaults: bartDefaults,
  /** The last token, which names the language, comes first. */
  decoderIds(config, ids) {
    const padding = config.integer('pad_token_id', { least: 0 });
    return shiftedRight(ids, ids[ids.filter((id) => id !== padding).length - 1] ?? padding);
  },
  build(config, g, task) {
    bartLike(config, g, task, {
      family: 'MBart',
      norms: 'pre',
      embeddingNorm: true,
      positions: { kind: 'learned', offset: 2 },
      logitsBias: true,
    });
  },
};
