import { OctoformerError } from '../binding/error';
import { type FileListing, isInnerFileName } from './file_listing';
import { quote } from './repository_id';
import { INDEX_FILE, parseShardIndex } from './shard_index';

export const TOKENIZER_FILES = {
  tokenizer: 'tokenizer.json',
  tokenizerConfig: 'tokenizer_config.json',
  specialTokensMap: 'special_tokens_map.json',
  addedTokens: 'added_tokens.json',
  chatTemplate: 'chat_template.jinja',
  chatTemplateJson: 'chat_template.json',
} as const;

/** What makes a tokenizer where there is no tokenizer.json. */
export const SENTENCEPIECE_FILES = {
  sourcePieces: 'source.spm',
  targetPieces: 'target.spm',
  spiecePieces: 'spiece.model',
  bpePieces: 'sentencepiece.bpe.model',
  tokenizerPieces: 'tokenizer.model',
  spmPieces: 'spm.model',
} as const;
/** Chat templates beside the default one, `NAME.jinja` each. */
export const CHAT_TEMPLATES_FOLDER = 'additional_chat_templates';
/** And where there are none of those: lists of tokens. vocab.json is also for SentencePiece files whose ids aren't those of their pieces. */
const VOCABULARY_FILE = { vocabulary: 'vocab.json' } as const;
const VOCABULARY_FILES = { ...VOCABULARY_FILE, merges: 'merges.txt', wordPieces: 'vocab.txt' } as const;
export type TokenizerFile =
  | keyof typeof TOKENIZER_FILES
  | keyof typeof SENTENCEPIECE_FILES
  | keyof typeof VOCABULARY_FILES;

export const CONFIG_FILE = 'config.json';
export const GENERATION_CONFIG_FILE = 'generation_config.json';
export const SINGLE_WEIGHTS_FILE = 'model.safetensors';
/** Of a checkpoint of sentence-transformers: what it is made of. */
export const MODULES_FILE = 'modules.json';
/** Octoformer's own notes beside weights: how int8 ones compute, and what a calibration found. */
export const QUANTIZATION_FILE = 'octoformer_quantization.json';

/** Names of the files that are needed, relative to the listing. */
export interface FilePlan {
  readonly kind: 'folder' | 'gguf';
  readonly config?: string;
  readonly generationConfig?: string;
  readonly quantization?: string;
  readonly weights: readonly string[];
  readonly tokenizerFiles: Readonly<Partial<Record<TokenizerFile, string>>>;
  readonly asked?: readonly string[];
  readonly chatTemplates?: readonly string[];
}

/** Where the files of a model, or of its tokenizer, lie on this machine. All paths are absolute. */
export interface ModelFiles {
  readonly kind: 'folder' | 'gguf';
  readonly folder: string;
  readonly config?: string;
  readonly generationConfig?: string;
  /** Octoformer's own notes about int8 weights and outlier features. */
  readonly quantization?: string;
  /** safetensors files, or the parts of a GGUF file, in order. Empty when only the tokenizer was asked for (and is no GGUF). */
  readonly weights: readonly string[];
  /** When the tokenizer was asked for (and is no GGUF): `tokenizer`, or SentencePiece files or lists of tokens where there is none; the others when the model has them. */
  readonly tokenizerFiles: Readonly<Partial<Record<TokenizerFile, string>>>;
  /** The files that were asked for by their names: paths of those that there are. */
  readonly asked?: Readonly<Record<string, string>>;
  /** Names of those of which nobody knows: the hub can't be asked, and the cache says neither that they are there nor that they aren't. */
  readonly unknown?: readonly string[];
  /** With the tokenizer: chat templates beside the default one, each in a file of its name. */
  readonly chatTemplates?: readonly string[];
  /** The (first) GGUF file: config, tokenizer, chat template and weights. */
  readonly gguf?: string;
  /** Of a hub id: what it was resolved to. */
  readonly commit?: string;
}

export interface FileRequest {
  /** Files by their names, which stay inside the source's folder, are taken where they exist. */
  readonly what: 'model' | 'tokenizer' | { readonly files: readonly string[] };
  readonly gguf_file?: string | undefined;
}

/** Files that a plan takes when they exist and does without when they don't. */
export function optionalFiles(what: FileRequest['what']): readonly string[] {
  if (typeof what === 'object') return what.files;
  if (what === 'model') return [GENERATION_CONFIG_FILE];
  const { tokenizer: _required, ...optional } = TOKENIZER_FILES;
  return [CONFIG_FILE, ...Object.values(optional)];
}

/** Files whose absence is worth a note in the cache: without the hub nobody could tell it from a file that was not fetched. */
export function notedFiles(what: FileRequest['what']): readonly string[] {
  return [...new Set([...optionalFiles(what), MODULES_FILE])];
}

/**
 * Which files of a listing make the model or its tokenizer, or are asked for by name. Weights as transformers chooses them: `model.safetensors`, else
 * the shards of `model.safetensors.index.json`; GGUF when it is asked for or when there is nothing else.
 *
 * @throws OctoformerError NOT_FOUND naming what is missing, where it was looked for and what to do.
 */
export async function planFiles(listing: FileListing, request: FileRequest): Promise<FilePlan> {
  const { what } = request;
  if (typeof what === 'object') {
    const asked: string[] = [];
    for (const name of what.files) if (await listing.has(name)) asked.push(name);
    return { kind: 'folder', weights: [], tokenizerFiles: {}, asked };
  }
  if (request.gguf_file !== undefined) return ggufPlan(listing, await namedGguf(listing, request.gguf_file));
  return what === 'model' ? planModel(listing) : planTokenizer(listing);
}

async function planModel(listing: FileListing): Promise<FilePlan> {
  const weights = await safetensorsFiles(listing);
  if (weights === undefined) {
    const gguf = onlyGguf(listing);
    if (gguf !== undefined) return ggufPlan(listing, gguf);
    throw new OctoformerError('NOT_FOUND', explainMissingWeights(listing));
  }
  if (!(await listing.has(CONFIG_FILE))) {
    throw new OctoformerError(
      'NOT_FOUND',
      `${CONFIG_FILE} is not in ${listing.place}; it says what the weights beside it mean: take it from the model's origin`,
    );
  }
  const hasGenerationConfig = await listing.has(GENERATION_CONFIG_FILE);
  return {
    kind: 'folder',
    config: CONFIG_FILE,
    ...(hasGenerationConfig ? { generationConfig: GENERATION_CONFIG_FILE } : {}),
    ...(await quantizationNotes(listing)),
    weights,
    tokenizerFiles: {},
  };
}

async function planTokenizer(listing: FileListing): Promise<FilePlan> {
  const found = await filesOf(listing, TOKENIZER_FILES);
  const hasConfig = await listing.has(CONFIG_FILE);
  // Which tokenizer other files belong to stands in one of these.
  const saysClass = hasConfig || found.tokenizerConfig !== undefined;
  const others = found.tokenizer === undefined && saysClass ? await otherTokenizerFiles(listing) : {};
  if (Object.keys(others).length > 0) Object.assign(found, others);
  else if (found.tokenizer === undefined) {
    const gguf = onlyGguf(listing);
    if (gguf !== undefined) return ggufPlan(listing, gguf);
    throw new OctoformerError(
      'NOT_FOUND',
      `${TOKENIZER_FILES.tokenizer} is not in ${listing.place} (${summary(listing)}), and what else makes a tokenizer neither: a SentencePiece file (${Object.values(SENTENCEPIECE_FILES).join(', ')}), ` +
        'vocab.txt, or vocab.json with merges.txt, each beside a config.json or tokenizer_config.json that tells what kind of tokenizer it is; in Python, AutoTokenizer.from_pretrained(SOURCE).save_pretrained(FOLDER) writes it',
    );
  }
  const chatTemplates = listing.names.filter((name) => isChatTemplate.test(name));
  return {
    kind: 'folder',
    ...(hasConfig ? { config: CONFIG_FILE } : {}),
    weights: [],
    tokenizerFiles: found,
    ...(chatTemplates.length > 0 ? { chatTemplates } : {}),
  };
}

/** SentencePiece files, or lists of tokens, where a tokenizer could be made of them. */
async function otherTokenizerFiles(listing: FileListing): Promise<Partial<Record<TokenizerFile, string>>> {
  const pieces = await filesOf(listing, SENTENCEPIECE_FILES);
  if (Object.keys(pieces).length > 0) return { ...pieces, ...(await filesOf(listing, VOCABULARY_FILE)) };
  const lists = await filesOf(listing, VOCABULARY_FILES);
  const isEnough = lists.wordPieces !== undefined || (lists.vocabulary !== undefined && lists.merges !== undefined);
  return isEnough ? lists : {};
}

const isChatTemplate = new RegExp(`^${CHAT_TEMPLATES_FOLDER}/[^/]+\\.jinja$`);

async function filesOf(
  listing: FileListing,
  names: Readonly<Partial<Record<TokenizerFile, string>>>,
): Promise<Partial<Record<TokenizerFile, string>>> {
  const found: Partial<Record<TokenizerFile, string>> = {};
  for (const [key, name] of Object.entries(names) as [TokenizerFile, string][]) {
    if (await listing.has(name)) found[key] = name;
  }
  return found;
}

async function safetensorsFiles(listing: FileListing): Promise<readonly string[] | undefined> {
  if (await listing.has(SINGLE_WEIGHTS_FILE)) return [SINGLE_WEIGHTS_FILE];
  if (!(await listing.has(INDEX_FILE))) return undefined;
  const shards = await parseShardIndex(listing);
  const missing: string[] = [];
  for (const shard of shards) if (!(await listing.has(shard))) missing.push(shard);
  if (missing.length > 0) {
    throw new OctoformerError(
      'NOT_FOUND',
      `${list(missing)}, named by ${INDEX_FILE}, ${missing.length === 1 ? 'is' : 'are'} not in ${listing.place}; fetch the missing shards from the model's origin`,
    );
  }
  return shards;
}

const SPLIT = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

/** The one GGUF of a listing (the first part when it is split), or undefined when there is none. */
function onlyGguf(listing: FileListing): string | undefined {
  const heads = listing.names.filter((name) => {
    if (!name.toLowerCase().endsWith('.gguf')) return false;
    const split = SPLIT.exec(name);
    return split === null || Number(split[2]) === 1;
  });
  if (heads.length > 1) {
    throw new OctoformerError(
      'NOT_FOUND',
      `${listing.place} has several GGUF files: choose one with gguf_file: ${list(heads)}`,
    );
  }
  return heads[0];
}

async function namedGguf(listing: FileListing, name: string): Promise<string> {
  if (!isInnerFileName(name)) {
    throw new OctoformerError('INVALID_ARGUMENT', `gguf_file ${quote(name)} is no file name inside ${listing.place}`);
  }
  if (await listing.has(name)) return name;
  const others = listing.names.filter((other) => other.toLowerCase().endsWith('.gguf'));
  throw new OctoformerError(
    'NOT_FOUND',
    `gguf_file ${quote(name)} is not in ${listing.place}; ${others.length > 0 ? `there are ${list(others)}` : 'it has no GGUF file'}`,
  );
}

async function ggufPlan(listing: FileListing, first: string): Promise<FilePlan> {
  const weights = splitNames(first);
  for (const part of weights) {
    if (!(await listing.has(part))) {
      throw new OctoformerError('NOT_FOUND', `${quote(part)}, a part of ${quote(first)}, is not in ${listing.place}`);
    }
  }
  return { kind: 'gguf', ...(await quantizationNotes(listing)), weights, tokenizerFiles: {} };
}

async function quantizationNotes(listing: FileListing): Promise<Pick<FilePlan, 'quantization'>> {
  return (await listing.has(QUANTIZATION_FILE)) ? { quantization: QUANTIZATION_FILE } : {};
}

/** Names of all parts, as llama.cpp's gguf-split writes them; a name that claims to be a part beyond the last is no part. */
function splitNames(first: string): readonly string[] {
  const split = SPLIT.exec(first);
  if (split === null || Number(split[2]) > Number(split[3])) return [first];
  const count = Number(split[3]);
  return Array.from({ length: count }, (_, i) => `${split[1]}-${String(i + 1).padStart(5, '0')}-of-${split[3]}.gguf`);
}

function explainMissingWeights(listing: FileListing): string {
  const pickled = listing.names.filter((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
  if (pickled.length > 0) {
    return (
      `${listing.place} has its weights only as ${list(pickled)}, Python pickles, which can run code and are never opened; ` +
      `in Python, AutoModel.from_pretrained(SOURCE).save_pretrained(FOLDER) writes ${SINGLE_WEIGHTS_FILE}`
    );
  }
  return (
    `no weights in ${listing.place}: looked for ${SINGLE_WEIGHTS_FILE}, ${INDEX_FILE} and *.gguf (${summary(listing)}); ` +
    'give the folder that save_pretrained wrote, a .gguf file or a hub id'
  );
}

function summary(listing: FileListing): string {
  return listing.names.length === 0 ? 'it holds no files' : `it holds ${list(listing.names)}`;
}

const LISTED_NAMES = 8;

function list(names: readonly string[]): string {
  const shown = names.slice(0, LISTED_NAMES).map(quote).join(', ');
  return names.length > LISTED_NAMES ? `${shown} and ${names.length - LISTED_NAMES} more` : shown;
}
