import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run, runBeside, ScriptError, seconds } from './process.mjs';

/**
 * The GoogleTest programs of a build folder, as CTest knows them. What their labels mean stands in test/native/CMakeLists.txt.
 * @returns {{ name: string, program: string, labels: string[] }[]}
 */
export function listNativeTests(buildFolder) {
  const { status, stdout, output } = run('ctest', ['--test-dir', buildFolder, '-C', 'Release', '--show-only=json-v1']);
  if (status !== 0) throw new ScriptError(`ctest can't list the tests of ${buildFolder}:\n${output}`);
  // Those that this build folder has not built have no command.
  const built = JSON.parse(stdout).tests.filter((test) => test.command);
  return built.map((test) => ({
    name: test.name,
    // The last word: a cross build puts its emulator in front.
    program: test.command.at(-1),
    labels: test.properties.find((property) => property.name === 'LABELS')?.value ?? [],
  }));
}

/**
 * Runs one program, its tests dealt out to as many processes as there are cores, and gives its counts. A crash counts as a
 * failure beside what had not been written.
 * @param {{ name: string, program: string }} test
 * @param {{ title?: string, launcher?: string[], env?: Record<string, string>, filter?: string, slow?: string }} [options]
 *   `launcher`: words that start an emulator.
 *   `slow`: why tests are slow here, 'emulated' or 'sanitized': the longest then try less (test/native/reference/effort.h).
 */
export async function runNativeTest(test, { title = '', launcher = [], env = {}, filter, slow = '' } = {}) {
  const scratch = mkdtempSync(join(tmpdir(), 'octoformer-test-'));
  const started = performance.now();
  try {
    const runShard = async (shard, shards) => {
      const report = join(scratch, `report-${shard}.json`);
      const words = [
        ...launcher,
        test.program,
        '--gtest_brief=1',
        `--gtest_output=json:${report}`,
        ...(filter ? [`--gtest_filter=${filter}`] : []),
      ];
      const effort = slow ? { OCTOFORMER_TEST_SLOW: slow } : {};
      const sharding = { GTEST_SHARD_INDEX: String(shard), GTEST_TOTAL_SHARDS: String(shards) };
      const result = await runBeside(words[0], words.slice(1), {
        env: { ...goldens(), ...effort, ...sharding, ...env },
      });
      const counts = readReport(report);
      if (result.status !== 0 && counts.failed === 0) counts.failed = 1;
      return {
        ...counts,
        failure: counts.failed ? `${result.output.trimEnd()}\n(exit status ${result.status ?? result.signal})` : '',
      };
    };
    const shards = availableParallelism();
    const results = await Promise.all(Array.from({ length: shards }, (_, shard) => runShard(shard, shards)));
    const counts = sum(results);
    console.log(`${test.name}${title ? ` [${title}]` : ''}: ${countLine(counts)} (${seconds(started)})`);
    for (const { failure } of results) if (failure) console.log(failure);
    return counts;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The folder of goldens that lies beside the repository, unless the environment names one. */
function goldens() {
  const beside = join(root, '..', 'shared', 'goldens');
  return process.env.OCTOFORMER_GOLDENS || !existsSync(beside) ? {} : { OCTOFORMER_GOLDENS: beside };
}

function readReport(path) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }; // it crashed before it could write one
  }
  const all = report.testsuites.flatMap((suite) => suite.testsuite);
  const failed = all.filter((test) => test.failures?.length).length;
  const skipped = all.filter((test) => test.result === 'SKIPPED' || test.status === 'NOTRUN').length;
  return { passed: all.length - failed - skipped, failed, skipped };
}

/** Adds counts up. */
export function sum(list) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const counts of list) for (const key of Object.keys(total)) total[key] += counts[key];
  return total;
}

/** The closing line of a run. */
export function countLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
