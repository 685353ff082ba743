import type { Architecture } from './architecture';
import { bart } from './bart';
import { m2m100 } from './m2m_100';
import { marian } from './marian';
import { mbart } from './mbart';
import { pegasus } from './pegasus';
import { t5 } from './t5';

/** The built-in families that turn one sequence into another. */
export const encoderDecoderFamilies: readonly Architecture[] = [bart, m2m100, marian, mbart, pegasus, t5];
