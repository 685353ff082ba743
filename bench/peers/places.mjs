/** Where the peers and what they read lie: in the cache folder, outside the repository. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../scripts/process.mjs';
import { cacheFolder } from '../../scripts/toolchain.mjs';

/** node_modules of the engines from npm (package.json beside this file). */
export const npmFolder = path.join(cacheFolder(), 'bench-peers');
/** The virtual environment of the engines from the Python package index (requirements.txt beside this file). */
export const pythonFolder = path.join(cacheFolder(), 'bench-python');
/** Models in the form that one peer reads. */
export const modelsFolder = path.join(cacheFolder(), 'bench-models');

/** The Python that has the peers: what was asked for, or install.mjs's; null where there is none. */
export function peersPython(asked = process.env.OCTOFORMER_BENCH_PYTHON) {
  if (asked) return asked;
  const parts = process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python'];
  const own = path.join(pythonFolder, ...parts);
  return existsSync(own) ? own : null;
}

/** Versions of the packages that are installed, by name. */
export function installedFromNpm(names) {
  const version = (name) => {
    const manifest = path.join(npmFolder, 'node_modules', name, 'package.json');
    return existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).version : undefined;
  };
  return Object.fromEntries(names.map((name) => [name, version(name)]).filter(([, found]) => found));
}

/** The same for distributions of a Python. */
export function installedInPython(python, names) {
  if (python === null) return {};
  const script =
    'import importlib.metadata as m, json, sys\n' +
    'def version(name):\n  try: return m.version(name)\n  except m.PackageNotFoundError: return None\n' +
    'print(json.dumps({name: version(name) for name in sys.argv[1:] if version(name)}))';
  const { status, stdout, output } = run(python, ['-c', script, ...names]);
  if (status !== 0) throw new Error(`${python} does not run: ${output.trim() || 'it was not found'}`);
  return JSON.parse(stdout);
}
