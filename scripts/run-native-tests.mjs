import { parseArgs } from 'node:util';
import { countLine, listNativeTests, runNativeTest, sum } from './native-tests.mjs';
import { main, ScriptError } from './process.mjs';

// run-native-tests.mjs BUILD [--launcher 'qemu-aarch64 -cpu max'] [--isas neon,scalar] [--filter PATTERN]
// Runs the C++ tests of a build folder, those of kernels once for every ISA given (default: the machine's best). With --only-isa the others are left out.
await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      launcher: { type: 'string', default: '' },
      isas: { type: 'string', default: '' },
      filter: { type: 'string' },
      'only-isa': { type: 'boolean', default: false },
    },
  });
  const [build] = positionals;
  if (!build)
    throw new ScriptError(
      'usage: run-native-tests.mjs BUILD [--launcher WORDS] [--isas A,B] [--filter PATTERN] [--only-isa]',
    );
  const launcher = values.launcher.split(' ').filter(Boolean);
  const isas = values.isas.split(',').filter(Boolean);
  const results = listNativeTests(build)
    .filter((test) => test.dependsOnIsa || !values['only-isa'])
    .flatMap((test) => {
      const options = { launcher, filter: values.filter };
      if (!test.dependsOnIsa || !isas.length) return [runNativeTest(test, options)];
      return isas.map((isa) => runNativeTest(test, { ...options, title: isa, env: { OCTOFORMER_ISA: isa } }));
    });
  if (!results.length) throw new ScriptError(`${build} has no C++ tests: configure with -DOCTOFORMER_TESTS=ON`);
  const counts = sum(results);
  console.log(countLine(counts));
  return counts.failed ? 1 : 0;
});
