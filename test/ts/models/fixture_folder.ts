import { join } from 'node:path';

const folder = join(__dirname, '..', '..', 'fixtures', 'models');

/** Where a model's fixture lies. */
export function fixtureFolder(name: string): string {
  return join(folder, name);
}
