import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import { readJsonObject } from '../models/json_file';
import { PROMPTS_FILE } from '../models/sentence_files';
import { findSentenceFiles, type SentenceSource } from './sentence_source';

/** Texts that a checkpoint wants before those that are encoded. */
export interface SentencePrompts {
  readonly texts: ReadonlyMap<string, string>;
  /** The one that is taken where nobody says which. */
  readonly default?: string;
}

/** What every checkpoint has, as in sentence-transformers. */
const nothing: readonly (readonly [string, string])[] = [
  ['query', ''],
  ['document', ''],
];

/**
 * The `prompts` and the `default_prompt_name` of config_sentence_transformers.json.
 * @throws OctoformerError INVALID_CHECKPOINT, OFFLINE as `sentenceVectors` does, and what looking for files throws
 */
export async function sentencePrompts(source: SentenceSource): Promise<SentencePrompts> {
  const {
    paths: [path],
  } = await findSentenceFiles(source, [[PROMPTS_FILE]]);
  if (path === undefined) return { texts: new Map(nothing) };
  const { prompts = {}, default_prompt_name = null } = await readJsonObject(path);
  const wrong = (what: string) => new OctoformerError('INVALID_CHECKPOINT', `${path}: ${what}`);
  if (typeof prompts !== 'object' || prompts === null || Array.isArray(prompts)) {
    throw wrong(`'prompts' must be texts by their names, not ${describeValue(prompts)}`);
  }
  const own = Object.entries(prompts).map(([name, text]: [string, unknown]): [string, string] => {
    if (typeof text !== 'string' && text !== null) {
      throw wrong(`the prompt '${name}' must be a text, not ${describeValue(text)}`);
    }
    return [name, text ?? ''];
  });
  const texts = new Map([...nothing, ...own]);
  if (default_prompt_name === null) return { texts };
  if (typeof default_prompt_name === 'string' && texts.has(default_prompt_name)) {
    return { texts, default: default_prompt_name };
  }
  throw wrong(
    `'default_prompt_name' is ${describeValue(default_prompt_name)}, but must be one of ${[...texts.keys()].join(', ')}`,
  );
}

/**
 * A prompt by its name.
 * @throws OctoformerError INVALID_ARGUMENT where there is none of that name
 */
export function promptNamed(where: string, { texts }: SentencePrompts, name: unknown): string {
  const text = typeof name === 'string' ? texts.get(name) : undefined;
  if (text !== undefined) return text;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `option 'prompt_name' of ${where}: the model has no prompt ${describeValue(name)}; it has ${[...texts.keys()].join(', ')}; another text can be given as 'prompt'`,
  );
}
