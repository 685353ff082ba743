import type { Architecture } from './architecture';
import { t5 } from './t5';

/** The built-in families that turn one sequence into another. */
export const encoderDecoderFamilies: readonly Architecture[] = [t5];
