import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import type { ConfigValues } from '../models/config';
import type { Model } from '../models/model';

const numbers = [
  'max_new_tokens',
  'max_length',
  'min_new_tokens',
  'temperature',
  'top_k',
  'top_p',
  'min_p',
  'repetition_penalty',
  'num_beams',
  'length_penalty',
  'num_return_sequences',
  'no_repeat_ngram_size',
  'encoder_no_repeat_ngram_size',
  'encoder_repetition_penalty',
  'min_length',
  'typical_p',
  'epsilon_cutoff',
  'eta_cutoff',
];

/** Gives the model back if its generation_config.json can be used, and disposes of it otherwise. @throws OctoformerError INVALID_CHECKPOINT */
export async function withGenerationConfig<T extends Model>(model: T, source: string): Promise<T> {
  try {
    checkGenerationConfig(model.generationConfig, source);
    return model;
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

/**
 * Checks the types of what generation_config.json says, when the model is opened: whether a value makes sense depends on the options that
 * go with it, and is checked by `generate`.
 * @throws OctoformerError INVALID_CHECKPOINT naming key and value
 */
function checkGenerationConfig(values: ConfigValues, source: string): void {
  const refuse = (key: string, expected: string): never => {
    throw new OctoformerError(
      'INVALID_CHECKPOINT',
      `generation_config.json (or config.json) of ${source}: '${key}' must be ${expected}, not ${describeValue(values[key])}`,
    );
  };
  const given = (key: string) => values[key] !== undefined && values[key] !== null;
  for (const key of numbers) {
    if (given(key) && !Number.isFinite(values[key])) refuse(key, 'a number');
  }
  if (given('do_sample') && typeof values.do_sample !== 'boolean') refuse('do_sample', 'true or false');
  if (!given('eos_token_id')) return;
  const ids: readonly unknown[] = Array.isArray(values.eos_token_id) ? values.eos_token_id : [values.eos_token_id];
  if (!ids.every((id) => Number.isSafeInteger(id))) refuse('eos_token_id', 'a token id or a list of them');
}
