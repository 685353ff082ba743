import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { OctoformerError } from '../binding/error';
import { readFile } from './files';

/** What the environment says about the hub, read as Python's huggingface_hub reads it, so that both share one cache. */
export interface HubSettings {
  /** Holds `models--owner--name` folders. */
  readonly cacheFolder: string;
  /** Scheme, host and path prefix, no slash at the end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly offline: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ENDPOINT = 'https://huggingface.co';
const TRUE_VALUES = new Set(['1', 'ON', 'YES', 'TRUE']);

/**
 * `HF_HUB_CACHE` (or the older `HUGGINGFACE_HUB_CACHE`), else `HF_HOME/hub`; `HF_HOME` is `XDG_CACHE_HOME/huggingface` or
 * `~/.cache/huggingface`. `HF_ENDPOINT`; `HF_TOKEN` (or `HUGGING_FACE_HUB_TOKEN`), else the file `HF_TOKEN_PATH` or
 * `HF_HOME/token` unless `HF_HUB_DISABLE_IMPLICIT_TOKEN`; `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE`.
 *
 * @throws OctoformerError INVALID_ARGUMENT when `HF_ENDPOINT` is no http(s) address or the token can't stand in a header.
 */
export async function readHubSettings(
  environment: Environment = process.env,
  cacheFolder?: string,
): Promise<HubSettings> {
  const home = hubHome(environment);
  return {
    cacheFolder: cacheFolder === undefined ? hubCacheFolder(environment) : resolve(cacheFolder),
    endpoint: checkEndpoint(environment.HF_ENDPOINT || DEFAULT_ENDPOINT),
    token: await readToken(environment, home),
    offline: isTrue(environment.HF_HUB_OFFLINE || environment.TRANSFORMERS_OFFLINE),
  };
}

/** The folder of the shared cache, as in `readHubSettings`. */
export function hubCacheFolder(environment: Environment = process.env): string {
  const named = environment.HF_HUB_CACHE || environment.HUGGINGFACE_HUB_CACHE;
  return named ? expandPath(named, environment) : join(hubHome(environment), 'hub');
}

/** `~` and `~/...` stand for the home folder, as in a shell. */
export function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

function hubHome(environment: Environment): string {
  const home = environment.HF_HOME;
  if (home) return expandPath(home, environment);
  return join(expandPath(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), environment), 'huggingface');
}

function expandPath(path: string, environment: Environment): string {
  const withVariables = path.replace(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (whole: string, braced: string | undefined, bare: string | undefined) => environment[braced ?? bare ?? ''] ?? whole,
  );
  return resolve(expandHome(withVariables));
}

function checkEndpoint(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `HF_ENDPOINT is '${text}', which is no web address; unset it or give one like ${DEFAULT_ENDPOINT}`,
      { cause },
    );
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new OctoformerError('INVALID_ARGUMENT', `HF_ENDPOINT is '${text}', but only http and https are spoken here`);
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

async function readToken(environment: Environment, home: string): Promise<string | undefined> {
  const named = cleanToken(environment.HF_TOKEN) ?? cleanToken(environment.HUGGING_FACE_HUB_TOKEN);
  if (named !== undefined) return checkToken(named, 'HF_TOKEN');
  if (isTrue(environment.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const file = environment.HF_TOKEN_PATH ? expandPath(environment.HF_TOKEN_PATH, environment) : join(home, 'token');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return undefined; // no file: an anonymous user
  }
  const token = cleanToken(text);
  return token === undefined ? undefined : checkToken(token, file);
}

function cleanToken(text: string | undefined): string | undefined {
  return text?.replace(/[\r\n]/g, '').trim() || undefined;
}

function checkToken(token: string, source: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `the token in ${source} holds characters that no token has; log in again or mend it`,
  );
}

function isTrue(value: string | undefined): boolean {
  return value !== undefined && TRUE_VALUES.has(value.toUpperCase());
}
