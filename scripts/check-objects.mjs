import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { countLine, sum } from './native-tests.mjs';
import { main, root, runOrFail, ScriptError } from './process.mjs';

// check-objects.mjs BUILD: looks into the compiled kernels (native/cpu/isa_<name>.cc, one object for every ISA).
//
// 1. An object exports its kernel table and nothing else. A weak symbol (an inline function of a header) might be the copy that the
//    linker keeps for code that runs on every machine: an illegal instruction on older ones.
// 2. No function of the AVX-512 objects keeps its accumulators on the stack. A few references are constants put aside before
//    a loop; GCC 12 makes about 110 when it spills a tile of accumulators, which costs most of the speed.
const mostStackReferences = 16;

const passed = { passed: 1, failed: 0, skipped: 0 };
const failed = { passed: 0, failed: 1, skipped: 0 };
const nothing = { passed: 0, failed: 0, skipped: 0 };

await main(async () => {
  const build = process.argv[2];
  if (!build) throw new ScriptError('usage: check-objects.mjs BUILD');
  const folder = join(root, build, 'native', 'cpu', 'CMakeFiles');
  const objects = existsSync(folder) ? findObjects(folder) : [];
  if (!objects.length) throw new ScriptError(`${folder} holds no compiled kernels: build octoformer_cpu first`);
  const counts = sum(objects.flatMap((object) => [checkSymbols(object), checkStack(object)]));
  console.log(countLine(counts));
  return counts.failed ? 1 : 0;
});

function findObjects(folder) {
  return readdirSync(folder)
    .filter((name) => name.startsWith('octoformer_isa_'))
    .flatMap((name) => readdirSync(join(folder, name)).map((file) => join(folder, name, file)))
    .filter((path) => path.endsWith('.o'));
}

function checkSymbols(object) {
  const listed = runOrFail('nm', 'nm', ['--demangle', '--defined-only', '--extern-only', object])
    .stdout.trim()
    .split('\n');
  const wanted = `octoformer::kernels_${basename(object).replace(/^isa_|\.cc\.o$/g, '')}`;
  const symbols = listed.map((line) => /^\S+ (\S) (.*)$/.exec(line)?.slice(1) ?? ['?', line]);
  const others = symbols.filter(([kind, name]) => name !== wanted || !'DRB'.includes(kind));
  if (symbols.length === 1 && !others.length) return passed;
  console.log(`${basename(object)} must export ${wanted} alone, but exports:\n  ${listed.join('\n  ')}`);
  return failed;
}

function checkStack(object) {
  if (!/avx512|amx/.test(basename(object))) return nothing;
  const text = runOrFail('objdump', 'objdump', ['--disassemble', '--demangle', '--no-show-raw-insn', object]).stdout;
  const references = new Map();
  let name = '';
  for (const line of text.split('\n')) {
    const start = /^[0-9a-f]+ <(.*)>:$/.exec(line);
    if (start) name = start[1];
    else if (line.includes('zmm') && /\(%r[sb]p\b/.test(line)) references.set(name, (references.get(name) ?? 0) + 1);
  }
  const spilling = [...references].filter(([, count]) => count > mostStackReferences);
  for (const [where, count] of spilling)
    console.log(
      `${basename(object)}: ${count} zmm references to the stack (at most ${mostStackReferences}) in ${where}`,
    );
  return spilling.length ? failed : passed;
}
