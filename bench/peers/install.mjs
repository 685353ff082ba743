/**
 * npm run bench:peers: installs the engines that octoformer is measured beside, outside the repository: those of package.json with npm, those
 * of requirements.txt in a virtual environment. Some gigabytes; either part may fail by itself, and what is not there is not measured.
 */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { main, root, runOrFail, ScriptError, step } from '../../scripts/process.mjs';
import { findPython } from '../../scripts/toolchain.mjs';
import { npmFolder, peersPython, pythonFolder } from './places.mjs';

const here = path.join(root, 'bench/peers');

function installFromNpm() {
  mkdirSync(npmFolder, { recursive: true });
  copyFileSync(path.join(here, 'package.json'), path.join(npmFolder, 'package.json'));
  // Optional packages are builds for every platform and GPU, 700 MB, and scripts download more; the manifest names what is measured.
  runOrFail('npm install', 'npm', ['install', '--no-audit', '--no-fund', '--omit=optional', '--ignore-scripts'], {
    cwd: npmFolder,
  });
}

function installFromPython() {
  if (!existsSync(pythonFolder)) {
    const python = findPython();
    if (!python) throw new ScriptError('there is no Python 3 with pip');
    runOrFail('python -m venv', python, ['-m', 'venv', pythonFolder]);
  }
  const requirements = path.join(here, 'requirements.txt');
  runOrFail('pip install', peersPython(), ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]);
}

await main(async () => {
  const failures = [];
  const parts = { 'from npm': installFromNpm, 'from the Python package index': installFromPython };
  for (const [name, install] of Object.entries(parts)) {
    await step(`bench: installing peers ${name}`, install).catch((error) => failures.push(error.message));
  }
  if (failures.length > 0) throw new ScriptError(failures.join('\n'));
});
