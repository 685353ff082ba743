import { resolve as absolutePath, dirname, join } from 'node:path';
import { OctoformerError } from '../binding/error';
import { RepositoryCache } from './cache';
import { downloadFile, type FileProgress } from './download';
import { type FileListing, folderListing, isFile, isFolder, readTextFile } from './file_listing';
import { DEFAULT_RETRIES, HubClient, type RepositoryDescription, type RetryPolicy } from './hub_client';
import { type FilePlan, type FileRequest, optionalFiles, planFiles, type TokenizerFile } from './model_files';
import { checkRevision, isCommit, isRepositoryId, quote, type Repository } from './repository_id';
import { type Environment, expandHome, type HubSettings, readHubSettings } from './settings';

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
  /** `tokenizer` is there when the tokenizer was asked for (and is no GGUF); the others when the model has them. */
  readonly tokenizerFiles: Readonly<Partial<Record<TokenizerFile, string>>>;
  /** The (first) GGUF file: config, tokenizer, chat template and weights. */
  readonly gguf?: string;
  /** Of a hub id: what it was resolved to. */
  readonly commit?: string;
}

export interface ResolveProgress {
  readonly phase: 'download';
  readonly file: string;
  /** Bytes of this file here, and in all (0: the server didn't say). */
  readonly loaded: number;
  readonly total: number;
}

export interface ResolveOptions {
  /** `model` (default): config and weights. `tokenizer`: its files, and the config. */
  readonly what?: FileRequest['what'] | undefined;
  /** Branch, tag or commit of a hub id; default `main`. */
  readonly revision?: string | undefined;
  /** The GGUF file to take where there are several, or where there are safetensors too. */
  readonly gguf_file?: string | undefined;
  /** Instead of `HF_HUB_CACHE` and its like. */
  readonly cacheFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ResolveProgress) => void) | undefined;
  readonly environment?: Environment;
  readonly retries?: RetryPolicy;
}

// Enough to fill a fast line, as huggingface_hub's eight workers do, without many half-done files when the line is cut.
const PARALLEL_DOWNLOADS = 4;

/**
 * Finds the files of a model: `source` is a folder, a `.gguf` file, or a hub id `owner/name`, which is looked up in the Hugging
 * Face cache and downloaded where that lacks something. An existing folder wins over a hub id of the same name.
 *
 * @throws OctoformerError INVALID_ARGUMENT (no such thing as this source, bad revision), NOT_FOUND (names what is missing),
 *   INVALID_CHECKPOINT (broken index), OFFLINE, NETWORK, ABORTED.
 */
export async function resolveModelFiles(source: string, options: ResolveOptions = {}): Promise<ModelFiles> {
  const { signal } = options;
  try {
    signal?.throwIfAborted();
    return await resolveSource(source, options);
  } catch (error) {
    if (signal?.aborted && !OctoformerError.is(error)) {
      throw new OctoformerError('ABORTED', `looking for the files of ${quote(source)} was aborted`, {
        cause: signal.reason,
      });
    }
    throw error;
  }
}

async function resolveSource(source: string, options: ResolveOptions): Promise<ModelFiles> {
  if (typeof source !== 'string' || source === '' || source.includes('\0')) {
    const shown = typeof source === 'string' ? quote(source) : typeof source;
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${shown} is no source; give a folder, a .gguf file or a hub id 'owner/name'`,
    );
  }
  const request: FileRequest = { what: options.what ?? 'model', gguf_file: options.gguf_file };
  const path = absolutePath(expandHome(source));
  if (await isFolder(path)) return planFolder(path, request);
  if (await isFile(path)) return resolveFile(path);
  if (isRepositoryId(source) && !source.toLowerCase().endsWith('.gguf')) {
    const repository = { id: source, revision: checkRevision(options.revision ?? 'main') };
    return resolveRepository(repository, request, options);
  }
  const isPath = /^(\/|~|\.\/|[A-Za-z]:[\\/])|\.gguf$/i.test(source) && !/(^|\/)\.\.(\/|$)/.test(source);
  throw new OctoformerError(
    isPath ? 'NOT_FOUND' : 'INVALID_ARGUMENT',
    isPath
      ? `there is no folder or file ${quote(path)}; check the path`
      : `${quote(source)} is no folder or file here, and no hub id ('owner/name' of letters, digits, '-', '_' and '.'); check the spelling`,
  );
}

async function planFolder(folder: string, request: FileRequest): Promise<ModelFiles> {
  return atFolder(folder, await planFiles(await folderListing(folder), request));
}

async function resolveFile(path: string): Promise<ModelFiles> {
  if (path.toLowerCase().endsWith('.gguf')) {
    const folder = dirname(path);
    return planFolder(folder, { what: 'model', gguf_file: path.slice(folder.length).replace(/^[\\/]+/, '') });
  }
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${quote(path)} is a file but no .gguf; give the folder it is in (with config.json and tokenizer.json beside it)`,
  );
}

function atFolder(folder: string, plan: FilePlan, commit?: string): ModelFiles {
  const at = (name: string) => join(folder, ...name.split('/'));
  const tokenizerFiles = Object.fromEntries(Object.entries(plan.tokenizerFiles).map(([key, name]) => [key, at(name)]));
  const weights = plan.weights.map(at);
  return {
    kind: plan.kind,
    folder,
    ...(plan.config === undefined ? {} : { config: at(plan.config) }),
    ...(plan.generationConfig === undefined ? {} : { generationConfig: at(plan.generationConfig) }),
    ...(plan.quantization === undefined ? {} : { quantization: at(plan.quantization) }),
    weights,
    tokenizerFiles,
    ...(plan.kind === 'gguf' && weights[0] !== undefined ? { gguf: weights[0] } : {}),
    ...(commit === undefined ? {} : { commit }),
  };
}

async function resolveRepository(
  repository: Repository,
  request: FileRequest,
  options: ResolveOptions,
): Promise<ModelFiles> {
  const settings = await readHubSettings(options.environment, options.cacheFolder);
  const cache = new RepositoryCache(settings.cacheFolder, repository);
  const cached = await readCached(cache, repository, request);
  const isComplete = cached.files !== undefined;
  if (isComplete && isCommit(repository.revision) && (await knowsOptionalFiles(cache, repository.revision, request))) {
    return cached.files; // a commit never changes: nothing to ask
  }
  if (settings.offline) {
    if (isComplete) return cached.files;
    throw notCached('OFFLINE', 'HF_HUB_OFFLINE is set', repository, settings, cached.error);
  }
  const client = new HubClient(settings, repository, options.retries ?? DEFAULT_RETRIES);
  let description: RepositoryDescription;
  try {
    // With a cache to fall back on, one attempt is enough.
    description = await client.describe(options.signal, isComplete ? 1 : client.retries.attempts);
  } catch (error) {
    if (options.signal?.aborted || !OctoformerError.is(error)) throw error;
    if (isComplete) return cached.files; // as huggingface_hub does, whatever the reason
    if (error.code !== 'NETWORK') throw error;
    throw notCached('NETWORK', error.message, repository, settings, cached.error, error);
  }
  return download(client, cache, description, request, options);
}

interface Cached {
  readonly files?: ModelFiles;
  readonly error?: OctoformerError;
}

/** The cached files if they are complete; otherwise what they lack. */
async function readCached(cache: RepositoryCache, repository: Repository, request: FileRequest): Promise<Cached> {
  const commit = await cache.readReference(repository.revision);
  if (commit === undefined || !(await isFolder(cache.snapshotFolder(commit)))) return {};
  try {
    const files = await planFolder(cache.snapshotFolder(commit), request);
    return { files: { ...files, commit } };
  } catch (error) {
    if (!OctoformerError.is(error)) throw error;
    return { error };
  }
}

async function knowsOptionalFiles(cache: RepositoryCache, commit: string, request: FileRequest): Promise<boolean> {
  for (const file of optionalFiles(request.what)) {
    const isKnown = (await isFile(cache.filePath(commit, file))) || (await cache.isKnownMissing(commit, file));
    if (!isKnown) return false;
  }
  return true;
}

function notCached(
  code: 'OFFLINE' | 'NETWORK',
  reason: string,
  { id, revision }: Repository,
  { cacheFolder }: HubSettings,
  lack: OctoformerError | undefined,
  cause?: unknown,
): OctoformerError {
  const state = lack === undefined ? 'is not there' : `is not complete (${lack.message})`;
  const remedy = code === 'OFFLINE' ? 'unset HF_HUB_OFFLINE to download it' : 'try again when the hub can be reached';
  return new OctoformerError(
    code,
    `${reason}, and ${id} (revision ${revision}) ${state} in the cache ${quote(cacheFolder)}; ${remedy}, or give a local folder`,
    { cause },
  );
}

async function download(
  client: HubClient,
  cache: RepositoryCache,
  { commit, files }: RepositoryDescription,
  request: FileRequest,
  { signal, onProgress }: ResolveOptions,
): Promise<ModelFiles> {
  const report =
    (file: string): FileProgress =>
    (loaded, total) =>
      onProgress?.({ phase: 'download', file, loaded, total });
  // One failure ends the other downloads; what they have is kept for the next time.
  const failure = new AbortController();
  const either = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]);
  const fetchFile = (file: string) => downloadFile(client, cache, commit, file, either, report(file));

  const plan = await planFiles(hubListing(client.repository, files, fetchFile), request);
  const wanted = [
    ...Object.values(plan.tokenizerFiles),
    plan.config,
    plan.generationConfig,
    plan.quantization,
    ...plan.weights,
  ];
  const queue = wanted.filter((file): file is string => file !== undefined);
  await cache.writeReference(client.repository.revision, commit).catch(ignoreReadOnlyCache);
  let firstError: unknown;
  const work = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      try {
        await fetchFile(file);
      } catch (error) {
        if (!failure.signal.aborted) {
          firstError = error;
          failure.abort();
        }
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL_DOWNLOADS }, work));
  if (failure.signal.aborted) throw firstError;
  const listed = new Set(files);
  for (const file of optionalFiles(request.what)) {
    if (!listed.has(file)) await cache.noteMissing(commit, file).catch(ignoreReadOnlyCache);
  }
  return atFolder(cache.snapshotFolder(commit), plan, commit);
}

/** Notes about a revision are a help for later; a cache that can only be read has everything else that is needed here. */
function ignoreReadOnlyCache(error: unknown): void {
  if (!OctoformerError.is(error)) throw error;
}

function hubListing(
  { id, revision }: Repository,
  names: readonly string[],
  fetchFile: (file: string) => Promise<string>,
): FileListing {
  const all = new Set(names);
  return {
    place: `hub repository ${id} (revision ${revision})`,
    names,
    has: async (name) => all.has(name),
    readText: async (name, limit) => readTextFile(await fetchFile(name), limit),
  };
}
