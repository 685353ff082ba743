import { OctoformerError } from '../binding/error';

/** A repository of the hub: `owner/name`, or a bare `name` of the early days such as `gpt2`. */
export interface Repository {
  readonly id: string;
  /** Branch, tag, `refs/pr/N` or commit. */
  readonly revision: string;
}

// Longest owner or name that the hub allows (96), and longest git reference that its servers keep (255, a file name's limit).
const MAX_ID_PART = 96;
const MAX_REVISION = 255;
const ID_PART = new RegExp(`^(?=\\w)[\\w.-]{1,${MAX_ID_PART}}(?<=\\w)$`);
const COMMIT = /^[0-9a-f]{40}$/;

export function isCommit(revision: string): boolean {
  return COMMIT.test(revision);
}

/** Whether `text` could be a hub id; the rules are those of huggingface_hub's `validate_repo_id`. */
export function isRepositoryId(text: string): boolean {
  const parts = text.split('/');
  return (
    parts.length <= 2 &&
    parts.every((part) => ID_PART.test(part)) &&
    !text.includes('--') &&
    !text.includes('..') &&
    !text.endsWith('.git')
  );
}

/**
 * A revision becomes a path in the cache and a part of an address, so it may not climb out of either.
 *
 * @throws OctoformerError INVALID_ARGUMENT
 */
export function checkRevision(revision: string): string {
  const segments = revision.split('/');
  const sound =
    revision.length <= MAX_REVISION &&
    /^[\w.+@#=,/-]+$/.test(revision) &&
    segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..') &&
    !revision.includes('..');
  if (sound) return revision;
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${quote(revision)} is no revision; give a branch ('main'), a tag, 'refs/pr/1' or a commit of 40 hexadecimal digits`,
  );
}

/** A name from outside, shortened and with control characters shown, for messages. */
export function quote(text: string): string {
  const shown = text.length > 120 ? `${text.slice(0, 120)}…` : text;
  return `'${shown.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)}'`;
}
