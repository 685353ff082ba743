import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countLine, listNativeTests, runNativeTest, sum } from './native-tests.mjs';
import { main, root, run, seconds } from './process.mjs';
import { setup } from './setup.mjs';

/**
 * Tests whose results come from kernels: run again under every ISA. The others (files, tokenizers, hub) don't touch kernels.
 * A regular expression over paths, as jest takes it.
 */
const isaTests = 'test/ts/(models|generation|pipelines)/';

// npm test: sets everything up, runs the C++ tests and jest, under every ISA of this machine. Arguments go to jest.
await main(async () => {
  const jestArguments = process.argv.slice(2);
  const { nativeTests } = await setup({ nativeTests: true });
  const isas = availableIsas();
  console.log(`ISAs of this machine: ${isas.join(', ')}`);

  const counts = [];
  if (nativeTests.available) counts.push(...(await runNativeTests(isas)));
  else {
    console.log(`C++ tests: skipped. ${nativeTests.remedy}`);
    counts.push({ passed: 0, failed: 0, skipped: 1 });
  }

  const [best, ...others] = isas;
  counts.push(runJest(best, jestArguments));
  // With a choice of tests on the command line, that choice is meant.
  if (!jestArguments.length)
    for (const isa of others) counts.push(runJest(isa, ['--testPathPatterns', isaTests, '--passWithNoTests']));

  const total = sum(counts);
  console.log(countLine(total));
  return total.failed ? 1 : 0;
});

/** Best first; the last is always `scalar`. */
function availableIsas() {
  const { nativeAddon } = createRequire(import.meta.url)(join(root, 'dist', 'binding', 'load'));
  return [
    ...nativeAddon()
      .info()
      .isas.filter((isa) => isa !== 'scalar'),
    'scalar',
  ];
}

async function runNativeTests(isas) {
  console.log('C++ tests');
  const counts = [];
  for (const test of listNativeTests('build')) {
    if (!test.labels.includes('isa')) counts.push(await runNativeTest(test));
    else for (const isa of isas) counts.push(await runNativeTest(test, { title: isa, env: { OCTOFORMER_ISA: isa } }));
  }
  return counts;
}

function runJest(isa, args) {
  console.log(`jest [${isa}]`);
  const scratch = mkdtempSync(join(tmpdir(), 'octoformer-test-'));
  const started = performance.now();
  try {
    const file = join(scratch, 'counts.json');
    const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
    const { status } = run(process.execPath, [jest, ...args], {
      show: true,
      env: { OCTOFORMER_ISA: isa, OCTOFORMER_TEST_COUNTS: file },
    });
    let counts;
    try {
      counts = JSON.parse(readFileSync(file, 'utf8'));
    } catch {
      counts = { passed: 0, failed: 0, skipped: 0 }; // jest crashed or refused its arguments
    }
    if (status !== 0 && counts.failed === 0) counts.failed = 1;
    console.log(`jest [${isa}]: ${countLine(counts)} (${seconds(started)})`);
    return counts;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
