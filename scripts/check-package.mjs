import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main, root, runOrFail, ScriptError } from './process.mjs';

// What npm would publish: every file that package.json promises, nothing of the development, and an installed copy that loads
// its addon from prebuilds/ alone.
const needed = [
  'dist/index.js',
  'dist/index.d.ts',
  'dist/cli/main.js',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'CMakeLists.txt',
  'native/addon/module.cc',
];
const unwanted = /^(test|bench|scripts|build|node_modules|\.)|\.(safetensors|gguf|node-gyp)$/;
/** Unpacked, without prebuilds: sources, compiled TypeScript and documentation. */
const mostBytes = 5e6;

await main(async () => {
  const listed = runOrFail('npm pack', 'npm', ['pack', '--dry-run', '--json', '--ignore-scripts']).stdout;
  const [{ files }] = Object.values(JSON.parse(listed.slice(listed.search(/[[{]/))));
  const paths = files.map((file) => file.path);
  const missing = needed.filter((path) => !paths.includes(path));
  if (missing.length) throw new ScriptError(`the package lacks ${missing.join(', ')}`);
  const extra = paths.filter((path) => unwanted.test(path));
  if (extra.length) throw new ScriptError(`the package would hold ${extra.slice(0, 10).join(', ')}`);
  const bytes = files.reduce((total, file) => total + (file.path.startsWith('prebuilds/') ? 0 : file.size), 0);
  if (bytes > mostBytes)
    throw new ScriptError(`the package is ${bytes} bytes without prebuilds, more than ${mostBytes}`);
  installAndLoad(paths);
  console.log(
    `${paths.length} files, ${(bytes / 1e6).toFixed(1)} MB without prebuilds; an installed copy loads its addon`,
  );
});

/** Lays the files out as an installation would, with this machine's addon as the prebuild, and asks it for its version. */
function installAndLoad(paths) {
  const scratch = mkdtempSync(join(tmpdir(), 'octoformer-package-'));
  try {
    const installed = join(scratch, 'node_modules', 'octoformer');
    for (const path of paths) cpSync(join(root, path), join(installed, path));
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const name of Object.keys(dependencies)) {
      cpSync(join(root, 'node_modules', name), join(scratch, 'node_modules', name), { recursive: true });
    }
    const prebuilds = join(installed, 'prebuilds', `${process.platform}-${process.arch}`);
    if (!existsSync(prebuilds)) {
      mkdirSync(prebuilds, { recursive: true });
      cpSync(join(root, 'build', 'Release', 'octoformer.node'), join(prebuilds, 'octoformer.node'));
    }
    const script =
      "import('octoformer').then(({ info }) => console.log(info().version, require('octoformer').info().isa))";
    runOrFail('loading the installed package', process.execPath, ['-e', script], {
      cwd: scratch,
      env: { PREBUILDS_ONLY: '1' },
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
