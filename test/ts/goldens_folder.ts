import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The folder of golden fixtures that lies beside the repository, or where OCTOFORMER_GOLDENS says; null where there is none. */
export function goldensFolder(): string | null {
  const given = process.env.OCTOFORMER_GOLDENS;
  const folder = given ? resolve(given) : join(__dirname, '..', '..', '..', 'shared', 'goldens');
  return existsSync(folder) ? folder : null;
}
