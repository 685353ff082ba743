import type { DecoderTop } from '../modules';
import type { Task } from './architecture';
import type { ModelConfig } from './config';
import { labelCount } from './encoder_config';

/**
 * What a decoder has above its layers, as Hugging Face's classes have it: scores of tokens, labels (of a sequence without a bias, of tokens
 * with one), or nothing.
 * @param ofTokens what the layer that labels tokens is called
 */
export function decoderTop(config: ModelConfig, task: Task, ofTokens = 'score'): DecoderTop {
  const bare = task === 'base';
  if (task === 'sequence-classification') {
    return { bare, labels: { name: 'score', count: labelCount(config), bias: false } };
  }
  if (task === 'token-classification') {
    return { bare, labels: { name: ofTokens, count: labelCount(config), bias: true } };
  }
  return { bare };
}
