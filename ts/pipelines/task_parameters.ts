import { OctoformerError } from '../binding/error';
import type { ConfigValues } from '../models/config';
import type { Languages } from './languages';

/** What config.json has for a task. */
export interface TaskParameters {
  /** Goes before every text, such as T5's `summarize: `. */
  readonly prefix: string;
  /** Options of `generate`. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * The task's entry of `task_specific_params`. A translation's is that of its languages, `translation_en_to_de`, and without languages the first
 * one that there is, as in Python.
 * @throws OctoformerError INVALID_ARGUMENT where the model has translations, but not between these languages
 */
export function taskParameters(
  where: string,
  task: string,
  { task_specific_params }: ConfigValues,
  { src_lang, tgt_lang }: Languages,
): TaskParameters {
  const entries = isObject(task_specific_params) ? task_specific_params : {};
  const translations = Object.keys(entries).filter((name) => name.startsWith('translation'));
  let name: string | undefined = task;
  if (task === 'translation' && translations.length > 0) {
    const named = src_lang !== undefined || tgt_lang !== undefined;
    name = named ? `translation_${src_lang}_to_${tgt_lang}` : translations[0];
    if (!translations.includes(name ?? '')) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `${where}: the model's task_specific_params have no translation from '${src_lang}' to '${tgt_lang}'; they have ${translations.join(', ')}`,
      );
    }
  }
  const found = entries[name ?? ''];
  const { prefix, ...settings } = isObject(found) ? found : {};
  return { prefix: typeof prefix === 'string' ? prefix : '', settings };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
