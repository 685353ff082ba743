import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The package's folder, seen from the sources as well as from the files that are made of them: the first above this one with a `package.json`. */
export function packageFolder(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
