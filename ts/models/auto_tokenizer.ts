import { basename } from 'node:path';
import { callNative, nativeAddon } from '../binding/load';
import { checkOptions } from '../binding/options';
import { type ModelFiles, resolveModelFiles, SENTENCEPIECE_FILES } from '../hub';
import { readFile } from '../hub/files';
import { MergeTable, Tokenizer, type TokenizerFiles, TokenTable, tokenizerFromGguf } from '../tokenization';
import { parseJsonObject, readJsonObject, readText } from './json_file';
import type { LoadProgress } from './load_options';
import { openCheckpoint } from './open_checkpoint';

/** Options of `AutoTokenizer.from_pretrained`. */
export interface TokenizerLoadOptions {
  readonly revision?: string;
  readonly gguf_file?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
}

const where = 'AutoTokenizer.from_pretrained()';

/** Opens the tokenizer of a checkpoint. */
export const AutoTokenizer = {
  /**
   * @param source a folder with tokenizer.json, SentencePiece files, vocab.txt, or vocab.json and merges.txt, a `.gguf` file, or a hub id `owner/name`
   * @throws OctoformerError NOT_FOUND, INVALID_TOKENIZER, INVALID_CHECKPOINT, UNSUPPORTED_ARCHITECTURE and UNSUPPORTED_OPTION (other files than tokenizer.json
   *   of a class, or with settings, that isn't known), UNKNOWN_OPTION, NETWORK, OFFLINE, ABORTED
   */
  async from_pretrained(source: string, options: TokenizerLoadOptions = {}): Promise<Tokenizer> {
    return readTokenizer(await resolveTokenizer(source, options));
  },
};

/** Where the files of a tokenizer are: what `AutoTokenizer.from_pretrained` does first. */
export function resolveTokenizer(source: string, options: TokenizerLoadOptions): Promise<ModelFiles> {
  checkOptions(where, options, ['revision', 'gguf_file', 'signal', 'onProgress']);
  const { revision, gguf_file, signal, onProgress } = options;
  return resolveModelFiles(source, { what: 'tokenizer', revision, gguf_file, signal, onProgress });
}

/** And reads them. */
export function readTokenizer(files: ModelFiles): Promise<Tokenizer> {
  return files.gguf ? openGguf(files.gguf) : openFiles(files);
}

async function openGguf(file: string): Promise<Tokenizer> {
  const { checkpoint, release } = await openCheckpoint([file]);
  try {
    return tokenizerFromGguf(checkpoint.metadata, await callNative(() => checkpoint.tokenTables()));
  } finally {
    release();
  }
}

async function openFiles(files: ModelFiles): Promise<Tokenizer> {
  const { tokenizer, tokenizerConfig, specialTokensMap, addedTokens, chatTemplate, chatTemplateJson } =
    files.tokenizerFiles;
  const json = (path: string | undefined) => (path ? readJsonObject(path, 'INVALID_TOKENIZER') : undefined);
  const others: Omit<TokenizerFiles, 'tokenizerJson'> = {
    ...(await classOf(files, await json(tokenizerConfig))),
    specialTokensMap: await json(specialTokensMap),
    addedTokens: await json(addedTokens),
    chatTemplates: await namedTemplates(files.chatTemplates ?? []),
    chatTemplate: chatTemplate ? await readFile(chatTemplate, 'utf8') : await templateOf(chatTemplateJson),
  };
  if (tokenizer) return Tokenizer.fromFiles({ ...others, tokenizerJson: await readTokenizerJson(tokenizer) });
  return Tokenizer.fromFiles(await readOlderFiles(files, others));
}

/** What stands for tokenizer.json: SentencePiece files, else lists of tokens. Their readers are read where they are needed only. */
async function readOlderFiles(
  files: ModelFiles,
  others: Omit<TokenizerFiles, 'tokenizerJson'>,
): Promise<TokenizerFiles> {
  const { vocabulary, merges, wordPieces } = files.tokenizerFiles;
  if (Object.keys(SENTENCEPIECE_FILES).some((key) => key in files.tokenizerFiles)) {
    const { readSentencePieces } = require('./sentencepiece_files') as typeof import('./sentencepiece_files');
    return readSentencePieces(files, others);
  }
  const { tokenizerFilesFromVocabulary } =
    require('../tokenization/vocabulary_files') as typeof import('../tokenization/vocabulary_files');
  const folder = {
    ...others,
    ...(wordPieces ? { wordPieces: await readText(wordPieces, 'INVALID_TOKENIZER') } : {}),
    ...(vocabulary ? { vocab: await readJsonObject(vocabulary, 'INVALID_TOKENIZER') } : {}),
    ...(merges ? { merges: await readText(merges, 'INVALID_TOKENIZER') } : {}),
  };
  return tokenizerFilesFromVocabulary(folder, files.folder);
}

/** Where tokenizer_config.json doesn't name the class of tokenizers, config.json does: older ones by name, all by the type of the model. */
async function classOf(
  { config }: ModelFiles,
  tokenizerConfig: Readonly<Record<string, unknown>> | undefined,
): Promise<Pick<TokenizerFiles, 'tokenizerConfig' | 'modelType'>> {
  if (typeof tokenizerConfig?.tokenizer_class === 'string' || !config) return { tokenizerConfig };
  const { model_type, tokenizer_class } = await readJsonObject(config);
  return {
    tokenizerConfig: typeof tokenizer_class === 'string' ? { ...tokenizerConfig, tokenizer_class } : tokenizerConfig,
    modelType: typeof model_type === 'string' ? model_type : undefined,
  };
}

/** With tables in the place of the vocabulary and the merges, which are most of the file, where the addon can read them. */
async function readTokenizerJson(path: string): Promise<unknown> {
  const read = await callNative(() => nativeAddon().readTokenizerFile(path));
  if (!read) return readJsonObject(path, 'INVALID_TOKENIZER');
  const { rest, tables } = read;
  const json = parseJsonObject(rest, path, 'INVALID_TOKENIZER');
  const model = json.model as Readonly<Record<string, unknown>>;
  const { merges } = model;
  return {
    ...json,
    model: {
      ...model,
      vocab: TokenTable.ofNative(tables),
      ...(merges === null ? { merges: new MergeTable(tables.merges, tables.mergeSlots) } : {}),
    },
  };
}

async function namedTemplates(paths: readonly string[]): Promise<Record<string, string>> {
  const named = paths.map(async (path) => [basename(path, '.jinja'), await readFile(path, 'utf8')] as const);
  return Object.fromEntries(await Promise.all(named));
}

async function templateOf(path: string | undefined): Promise<string | undefined> {
  if (!path) return undefined;
  const { chat_template } = await readJsonObject(path, 'INVALID_TOKENIZER');
  return typeof chat_template === 'string' ? chat_template : undefined;
}
