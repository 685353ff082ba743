import type { Architecture } from './architecture';
import { bartDefaults, bartLike } from './bart_like';

/** Marian (Junczys-Dowmunt et al. 2018; the OPUS-MT translators): norms after the branches, sinusoidal positions. */
export const marian: Architecture = {
  model_type: 'marian',
  family: 'Marian',
  tasks: ['seq2seq-lm', 'base'],
  className: 'MarianMTModel',
  defaults: {
    ...bartDefaults,
    vocab_size: 58101,
    decoder_start_token_id: 58100,
    pad_token_id: 58100,
    eos_token_id: 0,
    bos_token_id: null,
    forced_eos_token_id: 0,
    share_encoder_decoder_embeddings: true,
  },
  build(config, g, task) {
    bartLike(config, g, task, {
      family: 'Marian',
      norms: 'post',
      embeddingNorm: false,
      positions: { kind: 'sinusoidal' },
      logitsBias: true,
      separateVocabularies: !config.boolean('share_encoder_decoder_embeddings'),
    });
  },
};
