import { OctoformerError } from '../binding/error';
import { RepositoryCache } from './cache';
import { downloadFile, type FileProgress } from './download';
import { type FileListing, readTextFile } from './file_listing';
import { isFile, isFolder } from './files';
import { DEFAULT_RETRIES, HubClient, type RepositoryDescription } from './hub_client';
import { type FileRequest, type ModelFiles, notedFiles, optionalFiles, planFiles } from './model_files';
import { atFolder, planFolder } from './plan_folder';
import { isCommit, quote, type Repository } from './repository_id';
import type { ResolveOptions } from './resolve_options';
import { type HubSettings, readHubSettings } from './settings';

// Enough to fill a fast line, as huggingface_hub's eight workers do, without many half-done files when the line is cut.
const PARALLEL_DOWNLOADS = 4;

/** Finds the files of a hub id in the cache, and downloads what is missing. Throws what `resolveModelFiles` does. */
export async function resolveRepository(
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
    const unknown: string[] = [];
    for (const name of typeof request.what === 'object' ? request.what.files : [])
      if (files.asked?.[name] === undefined && !(await cache.isKnownMissing(commit, name))) unknown.push(name);
    return { files: { ...files, commit, ...(unknown.length > 0 ? { unknown } : {}) } };
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
    ...(plan.chatTemplates ?? []),
    plan.config,
    plan.generationConfig,
    plan.quantization,
    ...(plan.asked ?? []),
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
  for (const file of notedFiles(request.what)) {
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
