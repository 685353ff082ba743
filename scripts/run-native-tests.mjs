import { parseArgs } from 'node:util';
import { countLine, listNativeTests, runNativeTest, sum } from './native-tests.mjs';
import { main, ScriptError } from './process.mjs';

// run-native-tests.mjs BUILD [--launcher 'qemu-aarch64 -cpu max'] [--isas neon,scalar] [--filter PATTERN]
// Runs the C++ tests of a build folder, those labelled `isa` once for every ISA given (default: the machine's best).
// --label: only those with this label. --slow sanitized: the longest tests try less, as they do behind a launcher.
await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      launcher: { type: 'string', default: '' },
      isas: { type: 'string', default: '' },
      filter: { type: 'string' },
      label: { type: 'string' },
      slow: { type: 'string' },
    },
  });
  const [build] = positionals;
  if (!build)
    throw new ScriptError(
      'usage: run-native-tests.mjs BUILD [--launcher WORDS] [--isas A,B] [--filter PATTERN] [--label kernels] [--slow sanitized]',
    );
  const launcher = values.launcher.split(' ').filter(Boolean);
  const slow = values.slow ?? (launcher.length ? 'emulated' : '');
  const isas = values.isas.split(',').filter(Boolean);
  const results = [];
  for (const test of listNativeTests(build)) {
    if (values.label && !test.labels.includes(values.label)) continue;
    const options = { launcher, filter: values.filter, slow };
    if (!test.labels.includes('isa') || !isas.length) results.push(await runNativeTest(test, options));
    else
      for (const isa of isas)
        results.push(await runNativeTest(test, { ...options, title: isa, env: { OCTOFORMER_ISA: isa } }));
  }
  if (!results.length) throw new ScriptError(`${build} has no C++ tests: configure with -DOCTOFORMER_TESTS=ON`);
  const counts = sum(results);
  console.log(countLine(counts));
  return counts.failed ? 1 : 0;
});
