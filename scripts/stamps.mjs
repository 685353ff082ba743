import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './process.mjs';

/**
 * One hash over the paths, sizes and modification times of everything in `paths` (relative to the repository) and of the
 * strings in `also`. Equal hashes mean that nothing needs building: a second run costs a few milliseconds, whatever the
 * build tool.
 */
export function fingerprint(paths, also = []) {
  const hash = createHash('sha256');
  for (const text of also) hash.update(`${text}\n`);
  for (const path of paths) addPath(hash, join(root, path));
  return hash.digest('hex');
}

function addPath(hash, path) {
  if (!existsSync(path)) return;
  const status = statSync(path);
  if (status.isDirectory()) {
    for (const name of readdirSync(path).sort()) addPath(hash, join(path, name));
  } else {
    hash.update(`${relative(root, path)} ${status.size} ${status.mtimeMs}\n`);
  }
}

/** Whether the stamp file holds this fingerprint. */
export function isStamped(file, value) {
  const path = join(root, file);
  return existsSync(path) && readFileSync(path, 'utf8') === value;
}

/** Written after a step succeeded, never before. */
export function stamp(file, value) {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, value);
}
