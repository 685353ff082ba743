import type { Families } from './architecture';

/** Every encoder that can be opened. */
export const encoderFamilies: Families = {
  albert: () => (require('./albert') as typeof import('./albert')).albert,
  bert: () => (require('./bert') as typeof import('./bert')).bert,
  'deberta-v2': () => (require('./deberta_v2') as typeof import('./deberta_v2')).debertaV2,
  distilbert: () => (require('./distilbert') as typeof import('./distilbert')).distilbert,
  electra: () => (require('./electra') as typeof import('./electra')).electra,
  modernbert: () => (require('./modernbert') as typeof import('./modernbert')).modernbert,
  mpnet: () => (require('./mpnet') as typeof import('./mpnet')).mpnet,
  roberta: () => (require('./roberta') as typeof import('./roberta')).roberta,
  'xlm-roberta': () => (require('./roberta') as typeof import('./roberta')).xlmRoberta,
};
