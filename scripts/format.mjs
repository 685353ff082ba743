import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { exists, main, root, run, runOrFail, ScriptError } from './process.mjs';

// npm run format | format:check: clang-format for C++, Biome for TypeScript and JSON. Other versions of clang-format give
// another layout, so the version is fixed.
const clangFormat = 'clang-format-19';
const sourceNames = /\.(cc|h|cu|cuh)$/;

await main(async () => {
  const check = process.argv.includes('--check');
  if (!exists(clangFormat))
    throw new ScriptError(
      `${clangFormat} is not on the PATH: apt-get install ${clangFormat} (or pipx install clang-format==19.1.7)`,
    );
  const listed = runOrFail('git ls-files', 'git', [
    'ls-files',
    '--cached',
    '--others',
    '--exclude-standard',
    'native',
    'test/native',
    'bench',
  ]).stdout;
  const files = listed.split('\n').filter((name) => sourceNames.test(name) && existsSync(join(root, name)));
  const format = run(clangFormat, [...(check ? ['--dry-run', '--Werror'] : ['-i']), ...files], { show: true });
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const lint = run(process.execPath, [biome, 'format', ...(check ? [] : ['--write']), '.'], { show: true });
  console.log(`${check ? 'checked' : 'formatted'} ${files.length} C++ files`);
  return format.status || lint.status;
});
