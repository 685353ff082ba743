import { setTimeout as sleep } from 'node:timers/promises';
import { OctoformerError } from '../binding/error';
import { isInnerFileName } from './file_listing';
import { explainConnection, explainStatus, TransientError } from './hub_error';
import { isRecord } from './record';
import { quote, type Repository } from './repository_id';
import type { HubSettings } from './settings';

/** How often a request that failed for a passing reason is made, and how long to wait before the second time. */
export interface RetryPolicy {
  readonly attempts: number;
  /** Doubles each time. */
  readonly delayMs: number;
}

export const DEFAULT_RETRIES: RetryPolicy = { attempts: 5, delayMs: 500 };

// A server that says nothing for so long won't: undici's own limit of 300 s is too long for somebody who watches.
const STALL_MS = 30_000;
const MAX_REDIRECTS = 10;
const MAX_RETRY_AFTER_MS = 30_000;
// The description of a repository lists its files, about 100 bytes each: room for 300,000 (git on the hub ends at 100,000).
const MAX_DESCRIPTION_BYTES = 32 * 1024 * 1024;

/** What the hub itself (never a content server it points to) says about a file. */
export interface FileMetadata {
  etag: string | undefined;
  size: number | undefined;
}

export interface Opened {
  readonly response: Response;
  readonly metadata: FileMetadata;
  /** Where the hub points to, when `open` was not to go there; the response has no body then. */
  readonly elsewhere: URL | undefined;
  /** `touch` it when bytes arrive, `close` it at the end. */
  readonly stall: StallTimer;
}

export interface RepositoryDescription {
  readonly commit: string;
  readonly files: readonly string[];
}

/** Speaks to one hub for one repository. Follows redirects itself, because the token must not go to another host. */
export class HubClient {
  readonly #origin: string;

  constructor(
    readonly settings: HubSettings,
    readonly repository: Repository,
    readonly retries: RetryPolicy,
  ) {
    this.#origin = new URL(settings.endpoint).origin;
  }

  /** The commit that the revision stands at, and the names of its files. */
  async describe(signal: AbortSignal | undefined, attempts: number): Promise<RepositoryDescription> {
    const { id, revision } = this.repository;
    const url = `${this.settings.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
    return this.retry(signal, attempts, async () => {
      const { response, stall } = await this.open(url, signal);
      try {
        return parseDescription(await readBounded(response, stall, MAX_DESCRIPTION_BYTES, url), url);
      } finally {
        stall.close();
      }
    });
  }

  fileUrl(commit: string, file: string): string {
    const path = file.split('/').map(encodeURIComponent).join('/');
    return `${this.settings.endpoint}/${this.repository.id}/resolve/${commit}/${path}`;
  }

  /**
   * GETs an address, hop by hop; with `hubOnly`, not beyond the hub's own addresses.
   *
   * @throws TransientError for what may pass by itself, OctoformerError NOT_FOUND or NETWORK for what won't.
   */
  async open(
    address: string | URL,
    signal: AbortSignal | undefined,
    headers: Readonly<Record<string, string>> = {},
    hubOnly = false,
  ): Promise<Opened> {
    const metadata: FileMetadata = { etag: undefined, size: undefined };
    let url = new URL(address);
    for (let hop = 0; hop <= MAX_REDIRECTS; ++hop) {
      const stall = new StallTimer(signal);
      try {
        const response = await this.#get(url, headers, stall);
        if (this.#isHub(url)) noteMetadata(metadata, response.headers);
        const next = redirectOf(response, url);
        if (next === undefined) {
          if (response.ok) return { response, metadata, elsewhere: undefined, stall };
          throw explainStatus(response, url, this.repository, this.settings, this.#isHub(url));
        }
        stall.close();
        if (hubOnly && !this.#isHub(next)) return { response, metadata, elsewhere: next, stall };
        url = next;
      } catch (error) {
        stall.close();
        throw error;
      }
    }
    throw new OctoformerError(
      'NETWORK',
      `${plain(new URL(address))} redirects more than ${MAX_REDIRECTS} times; check HF_ENDPOINT`,
    );
  }

  /** Repeats `work` while it fails for passing reasons; waits between, longer each time, or as long as the server asks. */
  async retry<T>(signal: AbortSignal | undefined, attempts: number, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; ++attempt) {
      signal?.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        if (attempt >= attempts) {
          const tries = attempt > 1 ? ` (${attempt} attempts)` : '';
          throw new OctoformerError('NETWORK', `${error.message}${tries}`, { cause: error });
        }
        const wait = Math.max(this.retries.delayMs * 2 ** (attempt - 1), error.details.retryAfterMs ?? 0);
        await sleep(Math.min(wait, MAX_RETRY_AFTER_MS), undefined, signal === undefined ? {} : { signal });
      }
    }
  }

  #isHub(url: URL): boolean {
    return url.origin === this.#origin;
  }

  async #get(url: URL, headers: Readonly<Record<string, string>>, stall: StallTimer): Promise<Response> {
    const { token } = this.settings;
    const authorization = token !== undefined && this.#isHub(url) ? { authorization: `Bearer ${token}` } : {};
    try {
      return await fetch(url, {
        redirect: 'manual',
        signal: stall.signal,
        // Not compressed: sizes and ranges are those of the file itself.
        headers: { 'user-agent': 'octoformer', 'accept-encoding': 'identity', ...authorization, ...headers },
      });
    } catch (cause) {
      stall.outer?.throwIfAborted();
      throw explainConnection(url, cause, stall.expired);
    }
  }
}

/** Aborts a request from which nothing came for STALL_MS, or when the caller's own signal aborts. */
export class StallTimer {
  readonly #controller = new AbortController();
  readonly #abort = () => this.#controller.abort(this.outer?.reason);
  #timer: NodeJS.Timeout;
  expired = false;

  constructor(readonly outer: AbortSignal | undefined) {
    outer?.addEventListener('abort', this.#abort, { once: true });
    this.#timer = setTimeout(() => {
      this.expired = true;
      this.#controller.abort();
    }, STALL_MS);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  touch(): void {
    this.#timer.refresh();
  }

  /** Ends the watch, and the request if something of its answer has not been read. */
  close(): void {
    clearTimeout(this.#timer);
    this.outer?.removeEventListener('abort', this.#abort);
    this.#controller.abort();
  }
}

/** An address without its query, which on content servers holds a signature. */
export function plain(url: URL): string {
  return url.origin + url.pathname;
}

function redirectOf(response: Response, from: URL): URL | undefined {
  const location = response.headers.get('location');
  if (response.status < 300 || response.status >= 400 || location === null) return undefined;
  let url: URL;
  try {
    url = new URL(location, from);
  } catch (cause) {
    throw new OctoformerError('NETWORK', `${plain(from)} redirects to ${quote(location)}, which is no address`, {
      cause,
    });
  }
  const sound = url.protocol === 'https:' || (url.protocol === 'http:' && from.protocol === 'http:');
  if (!sound)
    throw new OctoformerError('NETWORK', `${plain(from)} redirects to ${quote(plain(url))}, which is not https`);
  return url;
}

// x-linked-*: of the file itself, where the hub answers with a redirect to where its contents are.
function noteMetadata(metadata: FileMetadata, headers: Headers): void {
  const etag = headers.get('x-linked-etag') ?? headers.get('etag');
  if (etag !== null) metadata.etag = etag.replace(/^W\//, '').replace(/^"(.*)"$/, '$1');
  const size = headers.get('x-linked-size');
  if (size !== null && /^\d{1,15}$/.test(size)) metadata.size = Number(size);
}

async function readBounded(response: Response, stall: StallTimer, limit: number, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      stall.touch();
      bytes += chunk.length;
      if (bytes > limit)
        throw new OctoformerError('NETWORK', `${url} sent more than ${limit} bytes; is HF_ENDPOINT a hub?`);
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof OctoformerError) throw cause;
    stall.outer?.throwIfAborted();
    throw explainConnection(new URL(url), cause, stall.expired);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseDescription(text: string, url: string): RepositoryDescription {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new OctoformerError(
      'NETWORK',
      `${url} answered with no valid JSON; is HF_ENDPOINT a hub, or a proxy in between?`,
      { cause },
    );
  }
  const commit = isRecord(value) ? value.sha : undefined;
  const siblings = isRecord(value) ? value.siblings : undefined;
  if (typeof commit !== 'string' || !/^[0-9a-f]{40}$/.test(commit) || !Array.isArray(siblings)) {
    throw new OctoformerError('NETWORK', `${url} does not answer as a hub does ('sha', 'siblings'); check HF_ENDPOINT`);
  }
  // Names become paths in the cache: those that would leave it are no files.
  const files = (siblings as unknown[]).flatMap((entry) =>
    isRecord(entry) && typeof entry.rfilename === 'string' && isInnerFileName(entry.rfilename) ? [entry.rfilename] : [],
  );
  return { commit, files };
}
