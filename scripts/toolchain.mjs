import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { exists, run, runOrFail, ScriptError, step } from './process.mjs';

/** CMake from the Python package index, for machines without one. */
const cmakeWheel = 'cmake==3.31.10';
/** What CMakeLists.txt asks for. */
const leastCmake = [3, 20];

/** Where downloads of ours are kept, outside the repository. */
export function cacheFolder() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return join(base, 'octoformer');
}

/** The Python to run pip with, or undefined. */
export function findPython() {
  return ['python3', 'python'].find((name) => exists(name, ['-m', 'pip', '--version']));
}

/** @throws ScriptError when there is no compiler: nothing that we could install without asking replaces one. */
export function requireCompiler() {
  if (process.platform === 'win32') return; // CMake finds Visual Studio by itself and says when it doesn't
  const asked = process.env.CXX;
  if (asked ? exists(asked) : ['c++', 'g++', 'clang++'].some((name) => exists(name))) return;
  throw new ScriptError(
    `no C++ compiler: ${asked ? `CXX names '${asked}', which can't be run` : 'neither c++, g++ nor clang++ is on the PATH'}. ` +
      'Install one with C++20 (GCC 12, Clang 16 or later): apt-get install g++, dnf install gcc-c++, apk add g++ or xcode-select --install.',
  );
}

/** A CMake that is new enough: from the PATH, from our cache, or fetched with pip into our cache. */
export async function requireCmake() {
  const path = 'cmake';
  if (isNewEnough(path)) return path;
  const folder = join(cacheFolder(), 'tools', cmakeWheel.replace('==', '-'));
  const cached = join(folder, 'cmake', 'data', 'bin', process.platform === 'win32' ? 'cmake.exe' : 'cmake');
  if (!existsSync(cached)) {
    const python = findPython();
    const remedy = `Install CMake ${leastCmake.join('.')} or later (apt-get install cmake, brew install cmake) or Python 3 with pip, which can fetch it.`;
    if (!python)
      throw new ScriptError(
        `no CMake ${leastCmake.join('.')} or later on the PATH, and no pip to fetch one with. ${remedy}`,
      );
    await step(`setup: CMake is missing or too old, fetching ${cmakeWheel} with pip`, () => {
      runOrFail('pip install cmake', python, ['-m', 'pip', 'install', '--quiet', '--target', folder, cmakeWheel], {
        remedy,
      });
    });
  }
  return cached;
}

function isNewEnough(cmake) {
  const { status, output } = run(cmake, ['--version']);
  const match = /version (\d+)\.(\d+)/.exec(output);
  if (status !== 0 || !match) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > leastCmake[0] || (major === leastCmake[0] && minor >= leastCmake[1]);
}

/** The generator to configure with; undefined leaves it to CMake (Visual Studio on Windows). */
export function requireGenerator() {
  if (exists('ninja')) return 'Ninja';
  if (process.platform === 'win32') return undefined;
  if (exists('make')) return 'Unix Makefiles';
  throw new ScriptError(
    'neither ninja nor make is on the PATH: apt-get install ninja-build (or make), brew install ninja.',
  );
}

/**
 * Installs Debian packages when this is a Debian-like system and we are root or may use sudo without a password.
 * @returns {string} empty when it worked, else the command that a person would have to run
 */
export function installDebianPackages(packages) {
  const command = `apt-get install -y ${packages.join(' ')}`;
  const root = process.getuid?.() === 0;
  if (!exists('apt-get') || (!root && run('sudo', ['-n', 'true']).status !== 0)) return command;
  const [program, first] = root ? ['apt-get', []] : ['sudo', ['-n', 'apt-get']];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = () => run(program, [...first, 'install', '-y', '--no-install-recommends', ...packages], { env });
  if (install().status === 0) return '';
  run(program, [...first, 'update'], { env });
  return install().status === 0 ? '' : command;
}
