import type { Families } from './architecture';

/** The built-in families that turn one sequence into another. */
export const encoderDecoderFamilies: Families = {
  bart: () => (require('./bart') as typeof import('./bart')).bart,
  m2m_100: () => (require('./m2m_100') as typeof import('./m2m_100')).m2m100,
  marian: () => (require('./marian') as typeof import('./marian')).marian,
  mbart: () => (require('./mbart') as typeof import('./mbart')).mbart,
  pegasus: () => (require('./pegasus') as typeof import('./pegasus')).pegasus,
  t5: () => (require('./t5') as typeof import('./t5')).t5,
};
