import { OctoformerError } from '../binding/error';
import { isRecord } from './record';
import type { Repository } from './repository_id';
import type { HubSettings } from './settings';

/** A failure that may pass by itself: `HubClient.retry` tries again. It never leaves this folder. */
export class TransientError extends Error {
  constructor(
    message: string,
    readonly details: { readonly status?: number; readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: details.cause });
  }
}

export function explainConnection(url: URL, cause: unknown, stalled: boolean): TransientError {
  // fetch's own error says no more than "fetch failed"; what happened is its cause.
  const inner = isRecord(cause) && isRecord(cause.cause) ? cause.cause : cause;
  const code = isRecord(inner) ? (inner.code ?? inner.message) : inner;
  const reason = stalled ? 'no data for a long time' : String(code);
  return new TransientError(
    `can't get ${url.origin}${url.pathname}: ${reason}; check the connection, or HF_ENDPOINT for a mirror`,
    {
      cause,
    },
  );
}

/**
 * Turns an HTTP status, and the code that the hub puts into `x-error-code`, into an error that says what to do. The hub answers
 * 401 both for private and for missing repositories, so as not to tell which exist.
 */
export function explainStatus(
  response: Response,
  url: URL,
  repository: Repository,
  settings: HubSettings,
  fromHub: boolean,
): OctoformerError | TransientError {
  const { status, headers } = response;
  const { id, revision } = repository;
  const where = `${url.origin}${url.pathname}`;
  const said = hubMessage(headers);
  // A content server may refuse because its signed address has run out: the hub gives a new one to the next attempt. 416: what
  // is here of the file does not fit what is there; it is thrown away before the next attempt.
  if (!fromHub || status === 408 || status === 416 || status === 429 || status >= 500) {
    const details = { status, retryAfterMs: retryAfterMs(headers) };
    return new TransientError(`${where} answered ${status}${said}; try again later`, details);
  }
  const login =
    settings.token === undefined ? 'set HF_TOKEN to a token that may read it' : 'the token in use may not read it';
  switch (headers.get('x-error-code')) {
    case 'GatedRepo':
      return new OctoformerError(
        'NETWORK',
        `${id} is gated${said}: accept its conditions at ${settings.endpoint}/${id}, then ${login}`,
      );
    case 'RevisionNotFound':
      return new OctoformerError(
        'NOT_FOUND',
        `${id} has no revision '${revision}' on ${settings.endpoint}; check 'revision'`,
      );
    case 'EntryNotFound':
      return new OctoformerError('NOT_FOUND', `${where} is not there${said}`);
    case 'RepoNotFound':
      return notThere(repository, settings, login);
    default:
  }
  if (status === 401 && /invalid credentials/i.test(said)) {
    return new OctoformerError('NETWORK', `${settings.endpoint} refuses the token${said}; renew HF_TOKEN or unset it`);
  }
  if (status === 401 || status === 404) return notThere(repository, settings, login);
  return new OctoformerError('NETWORK', `${where} answered ${status}${said}${status === 403 ? `; ${login}` : ''}`);
}

function notThere(repository: Repository, settings: HubSettings, login: string): OctoformerError {
  return new OctoformerError(
    'NOT_FOUND',
    `no model '${repository.id}' on ${settings.endpoint}, or it is private: check the name, or ${login}; for a local folder give its path`,
  );
}

function hubMessage(headers: Headers): string {
  const text = headers
    .get('x-error-message')
    ?.replace(/[^\x20-\x7e]/g, ' ')
    .trim();
  return text ? ` (the hub says: ${text.slice(0, 200)})` : '';
}

function retryAfterMs(headers: Headers): number {
  const seconds = Number(headers.get('retry-after'));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}
