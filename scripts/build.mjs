import { main, ScriptError } from './process.mjs';
import { setup, setupTypeScript } from './setup.mjs';

// npm run setup | build:native | build:ts: what the demo and the tests do first, by itself.
const parts = { all: () => setup(), native: () => setup(), typescript: () => setupTypeScript() };

await main(async () => {
  const part = process.argv[2] ?? 'all';
  if (!parts[part]) throw new ScriptError(`unknown part '${part}': one of ${Object.keys(parts).join(', ')}`);
  await parts[part]();
});
