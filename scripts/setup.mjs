import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { root, run, runOrFail, ScriptError, step } from './process.mjs';
import { fingerprint, isStamped, stamp } from './stamps.mjs';
import { installDebianPackages, requireCmake, requireCompiler, requireGenerator } from './toolchain.mjs';

const addon = 'build/Release/octoformer.node';
const nativeSources = ['CMakeLists.txt', 'cmake', 'native'];
const testSources = ['test/native'];
/** What test/native/CMakeLists.txt says when it finds no GoogleTest. */
const noGoogleTest = 'GoogleTest was not found';

/**
 * Everything that a run from the sources needs, each step only when something changed: npm packages, the addon and, when
 * asked for, the C++ tests or the kernels' benchmark in build/, the compiled TypeScript in dist/.
 * @param {{ nativeTests?: boolean, nativeBench?: boolean }} [options]
 * @returns {Promise<{ nativeTests: { available: boolean, remedy: string } }>} `remedy` says why there are no C++ tests
 */
export async function setup({ nativeTests = false, nativeBench = false } = {}) {
  await setupTypeScript();
  await buildAddon();
  if (nativeBench) await buildNativeBench();
  return { nativeTests: nativeTests ? await buildNativeTests() : { available: false, remedy: 'not asked for' } };
}

/** npm packages and dist/, without the addon: enough for the hub and the tokenizers. */
export async function setupTypeScript() {
  if (!packagesAreInstalled()) {
    await step('setup: npm ci', () => {
      runOrFail('npm ci', 'npm', ['ci', '--no-audit', '--no-fund'], {
        remedy: 'It needs the npm registry (or a full npm cache).',
      });
    });
  }
  await buildTypeScript();
}

/** Compares what npm installed (its own hidden lockfile) with what package-lock.json asks for. */
function packagesAreInstalled() {
  const installedPath = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedPath)) return false;
  const installed = JSON.parse(readFileSync(installedPath, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' ||
      (installed[path] ? installed[path].version === entry.version : entry.optional || entry.devOptional),
  );
}

async function buildAddon() {
  const value = fingerprint(nativeSources, [process.arch]);
  const file = 'build/.stamp-addon';
  if (existsSync(join(root, addon)) && isStamped(file, value)) return;
  const cmake = await configure();
  await step(`setup: building the addon on ${availableParallelism()} cores (a first build takes minutes)`, () => {
    build(cmake, 'octoformer');
    if (!existsSync(join(root, addon))) throw new ScriptError(`the native build ended well but left no ${addon}`);
  });
  stamp(file, value);
}

async function buildNativeBench() {
  const value = fingerprint([...nativeSources, 'bench/native'], [process.arch]);
  const file = 'build/.stamp-bench';
  if (isStamped(file, value)) return;
  const cmake = await configure();
  const { status, output } = run(cmake, ['-S', '.', '-B', 'build', '-DOCTOFORMER_BENCH=ON']);
  if (status !== 0) throw new ScriptError(`cmake failed:\n${output}`);
  await step('setup: building the benchmark of the kernels', () => build(cmake, 'octoformer_bench'));
  stamp(file, value);
}

async function buildNativeTests() {
  const value = fingerprint([...nativeSources, ...testSources], [process.arch]);
  const file = 'build/.stamp-tests';
  if (isStamped(file, value)) return { available: true, remedy: '' };
  const cmake = await configure();
  const remedy = await enableNativeTests(cmake);
  if (remedy) return { available: false, remedy };
  await step('setup: building the C++ tests', () => build(cmake, 'all'));
  stamp(file, value);
  return { available: true, remedy: '' };
}

/** Turns the C++ tests on in build/; installs GoogleTest where that is possible without asking. Empty when it worked. */
async function enableNativeTests(cmake) {
  const attempt = () => run(cmake, ['-S', '.', '-B', 'build', '-DOCTOFORMER_TESTS=ON']);
  let result = attempt();
  if (result.status !== 0 && result.output.includes(noGoogleTest)) {
    let command = '';
    await step('setup: GoogleTest is missing, installing libgtest-dev', () => {
      command = installDebianPackages(['libgtest-dev']);
      return command ? 'could not' : 'done';
    });
    result = attempt();
    if (result.status !== 0 && result.output.includes(noGoogleTest)) {
      run(cmake, ['-S', '.', '-B', 'build', '-DOCTOFORMER_TESTS=OFF']);
      return `GoogleTest was not found: ${command || 'install it'} (or brew install googletest), then run this again`;
    }
  }
  if (result.status !== 0) throw new ScriptError(`cmake failed:\n${result.output}`);
  return '';
}

/** Configures build/ once, through cmake-js, which knows where Node's headers are. Gives the cmake to build with. */
async function configure() {
  requireCompiler();
  const cmake = await requireCmake();
  const generator = requireGenerator();
  const stampFile = 'build/.stamp-configured';
  const value = [root, generator, process.arch].join('\n');
  if (isStamped(stampFile, value)) return cmake;
  // What another folder, another generator or a failure left behind can't be reused: CMake refuses it.
  rmSync(join(root, 'build'), { recursive: true, force: true });
  await step('setup: configuring the native build', () => {
    const cmakeJs = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
    // cmake-js wants a path here, and looks up `cmake` by itself.
    const options = [...(cmake === 'cmake' ? [] : ['-c', cmake]), ...(generator ? ['-G', generator] : [])];
    runOrFail('cmake-js configure', process.execPath, [cmakeJs, 'configure', ...options]);
  });
  stamp(stampFile, value);
  return cmake;
}

function build(cmake, target) {
  const args = [
    '--build',
    'build',
    '--config',
    'Release',
    '--parallel',
    String(availableParallelism()),
    '--target',
    target,
  ];
  runOrFail(`the native build of '${target}'`, cmake, args, {
    remedy: `Again, with all output: ${cmake} ${args.join(' ')}`,
  });
}

async function buildTypeScript() {
  const value = fingerprint([
    'ts',
    'tsconfig.json',
    'scripts/bundle.mjs',
    'node_modules/typescript/package.json',
    'node_modules/esbuild/package.json',
  ]);
  const file = 'dist/.stamp';
  if (isStamped(file, value)) return;
  await step('setup: compiling TypeScript', async () => {
    // Output of removed sources must not stay behind.
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    runOrFail('tsc', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
    await bundle('dist');
  });
  stamp(file, value);
}
