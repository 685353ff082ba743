import { albert } from './albert';
import type { Architecture } from './architecture';
import { bert } from './bert';
import { debertaV2 } from './deberta_v2';
import { distilbert } from './distilbert';
import { electra } from './electra';
import { modernbert } from './modernbert';
import { mpnet } from './mpnet';
import { roberta, xlmRoberta } from './roberta';

/** Every encoder that can be opened. */
export const encoderFamilies: readonly Architecture[] = [
  albert,
  bert,
  debertaV2,
  distilbert,
  electra,
  modernbert,
  mpnet,
  roberta,
  xlmRoberta,
];
