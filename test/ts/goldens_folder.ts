import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Where the reference outputs lie: `OCTOFORMER_GOLDENS`, or `shared/goldens` beside the repository. null where there are none; tests that
 * need them are skipped then.
 */
export function goldensFolder(): string | null {
  const folder = process.env['OCTOFORMER_GOLDENS'] ?? resolve(join(__dirname, '..', '..', '..', 'shared', 'goldens'));
  return existsSync(folder) ? folder : null;
}
