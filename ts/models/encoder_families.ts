import type { Architecture } from './architecture';
import { bert } from './bert';

/** Every encoder that can be opened. */
export const encoderFamilies: readonly Architecture[] = [bert];
