import { OctoformerError } from '../binding/error';
import { describeValue } from '../binding/options';
import { MODULES_FILE } from '../hub';
import { isInnerFileName } from '../hub/file_listing';
import { readJson, readJsonObject } from '../models/json_file';
import { moduleFile, TRANSFORMER_FILES } from '../models/sentence_files';
import { findSentenceFiles, type SentenceSource } from './sentence_source';

/** How a text's vector is made of its tokens'. */
export interface SentenceVectors {
  readonly pooling: 'mean' | 'cls' | 'last';
  /** Whether it is divided by its length. */
  readonly normalize: boolean;
  /** Whether the tokens of a prompt have a part in it. */
  readonly includePrompt: boolean;
  /** Tokens of a text at most, special ones included, where the files say it. */
  readonly maxLength?: number;
  /** Whether texts are put in lower case before anything else. */
  readonly lowerCase: boolean;
}

/** Those of checkpoints that say nothing of it, and of GGUF files. */
export const plainVectors: SentenceVectors = {
  pooling: 'mean',
  normalize: true,
  includePrompt: true,
  lowerCase: false,
};

/** What a checkpoint may be made of, in this order. The last may be missing: then vectors keep their lengths. */
const chain = ['Transformer', 'Pooling', 'Normalize'];

/** What sentence-transformers calls the poolings that there are. */
const poolings: Readonly<Record<string, SentenceVectors['pooling']>> = { mean: 'mean', cls: 'cls', lasttoken: 'last' };

/**
 * How a checkpoint of sentence-transformers makes vectors of texts: `modules.json` names its modules, and the folder of the one of type
 * `Pooling` has a config.json; `sentence_bert_config.json` says how texts are taken. Other checkpoints, and GGUF files, say nothing of it: the
 * mean, normalized.
 * @throws OctoformerError UNSUPPORTED_OPTION for modules and poolings that are not implemented, INVALID_CHECKPOINT, NOT_FOUND, OFFLINE where the
 *   hub can't be asked and the cache does not tell, and what looking for files throws
 */
export async function sentenceVectors(source: SentenceSource): Promise<SentenceVectors> {
  const {
    paths: [path],
    folder,
    commit,
  } = await findSentenceFiles(source, [[MODULES_FILE]]);
  if (path === undefined) return plainVectors;
  const { where } = source;
  const modules = readModules(where, path, await readJson(path));
  const names = TRANSFORMER_FILES.map((name) => moduleFile(modules.transformer, name));
  // Of the same commit, wherever its branch may have gone since.
  const { paths } = await findSentenceFiles(source, [[modules.pooling], names], commit);
  const [pooling, transformer] = paths;
  if (pooling === undefined) {
    throw new OctoformerError(
      'NOT_FOUND',
      `${modules.pooling}, named by ${MODULES_FILE}, is not in ${folder}; fetch it from the model's origin, or give 'pooling'`,
    );
  }
  return {
    ...readPooling(where, pooling, await readJsonObject(pooling)),
    ...(transformer === undefined
      ? { lowerCase: false }
      : readTransformer(transformer, await readJsonObject(transformer))),
    normalize: modules.normalizes,
  };
}

interface Modules {
  /** The folder of the module Transformer, relative to the checkpoint; empty for its own. */
  readonly transformer: string;
  /** The configuration of the pooling, relative to the checkpoint. */
  readonly pooling: string;
  readonly normalizes: boolean;
}

function readModules(where: string, file: string, modules: unknown): Modules {
  const wrong = (what: string) => new OctoformerError('INVALID_CHECKPOINT', `${file}: ${what}`);
  if (!Array.isArray(modules)) throw wrong(`must hold a list of modules, not ${describeValue(modules)}`);
  const list = modules.map((module: unknown, index) => {
    const { type, path }: { type?: unknown; path?: unknown } = Object(module);
    if (typeof type !== 'string' || typeof path !== 'string') {
      throw wrong(`module ${index} must have a 'type' and a 'path', both strings`);
    }
    return { type, path };
  });
  for (const [index, { type }] of list.entries()) {
    // Releases differ in the packages between: `.models.Pooling` was the name for long.
    if (/^sentence_transformers\.(?:.+\.)?(\w+)$/.exec(type)?.[1] === chain[index]) continue;
    throw unsupported(where, `module ${index} of ${file} is ${describeValue(type)}, where ${chain[index] ?? 'none'}`);
  }
  const [transformer, pooling, normalize] = list;
  if (transformer === undefined || pooling === undefined) {
    throw unsupported(where, `${file} has ${list.length} modules, where Pooling`);
  }
  for (const [index, path] of [transformer.path, pooling.path].entries()) {
    const ownFolder = index === 0 && path === '';
    if (ownFolder || isInnerFileName(`${path}/config.json`)) continue;
    throw wrong(`the path ${describeValue(path)} of module ${index} is no folder inside the checkpoint's`);
  }
  return {
    transformer: transformer.path,
    pooling: moduleFile(pooling.path),
    normalizes: normalize !== undefined,
  };
}

/** As in Python, the mean belongs to the pooling unless it says `pooling_mode_mean_tokens: false`. */
function readPooling(
  where: string,
  file: string,
  { pooling_mode, include_prompt = true, ...values }: Readonly<Record<string, unknown>>,
): Pick<SentenceVectors, 'pooling' | 'includePrompt'> {
  const flags = { pooling_mode_mean_tokens: true, ...values };
  for (const [key, value] of Object.entries({ ...flags, include_prompt })) {
    if (key.startsWith('pooling_mode_') || key === 'include_prompt') checkFlag(file, key, value);
  }
  const chosen = Object.entries(flags).flatMap(([key, value]) => (value === true ? key : []));
  const names =
    pooling_mode === undefined || pooling_mode === null
      ? chosen.flatMap((key) => /^pooling_mode_(\w+?)(?:_tokens?)?$/.exec(key)?.[1] ?? [])
      : [pooling_mode].flat().map(String);
  const [name = 'none', ...others] = names;
  const pooling = Object.hasOwn(poolings, name) ? poolings[name] : undefined;
  if (pooling !== undefined && others.length === 0) return { pooling, includePrompt: include_prompt === true };
  throw unsupported(
    where,
    `${file} pools by ${names.join(' and ') || name}, where one of ${Object.keys(poolings).join(', ')}`,
  );
}

function readTransformer(
  file: string,
  { max_seq_length, do_lower_case = false }: Readonly<Record<string, unknown>>,
): Pick<SentenceVectors, 'maxLength' | 'lowerCase'> {
  checkFlag(file, 'do_lower_case', do_lower_case);
  const lowerCase = do_lower_case === true;
  if (max_seq_length === undefined || max_seq_length === null) return { lowerCase };
  if (typeof max_seq_length === 'number' && Number.isInteger(max_seq_length) && max_seq_length > 0) {
    return { lowerCase, maxLength: max_seq_length };
  }
  throw new OctoformerError(
    'INVALID_CHECKPOINT',
    `${file}: 'max_seq_length' must be a number of tokens or null, not ${describeValue(max_seq_length)}`,
  );
}

function checkFlag(file: string, key: string, value: unknown): void {
  if (typeof value === 'boolean') return;
  throw new OctoformerError(
    'INVALID_CHECKPOINT',
    `${file}: '${key}' must be true or false, not ${describeValue(value)}`,
  );
}

/** @param found what is there, and what is implemented in its place */
function unsupported(where: string, found: string): OctoformerError {
  return new OctoformerError(
    'UNSUPPORTED_OPTION',
    `${where}: ${found} is implemented; give 'pooling' ('mean', 'cls' or 'last') for vectors without what the file says`,
  );
}
