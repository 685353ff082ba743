import type { Architecture } from './architecture';
import { bartDefaults, bartLike } from './bart_like';
import type { ModelConfig } from './config';

/** The ids behind a first token, without the last: what BART's and mBART's classes give the decoder where it is given none. */
export function shiftedRight(ids: readonly number[], first: number): readonly number[] {
  return [first, ...ids.slice(0, -1)];
}

/** BART (Lewis et al. 2019): norms after the branches, learned positions. */
export const bart: Architecture = {
  model_type: 'bart',
  family: 'Bart',
  tasks: ['seq2seq-lm', 'base', 'sequence-classification', 'question-answering'],
  defaults: { ...bartDefaults, decoder_start_token_id: 2 },
  decoderIds: (config: ModelConfig, ids) =>
    shiftedRight(ids, config.integer('decoder_start_token_id', { least: 0, otherwise: 2 })),
  build(config, g, task) {
    bartLike(config, g, task, {
      family: 'Bart',
      norms: 'post',
      embeddingNorm: true,
      positions: { kind: 'learned', offset: 2 },
      logitsBias: true,
    });
  },
};
