import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as octoformer from '../../../ts';

const repository = path.resolve(__dirname, '../../..');
const dist = path.join(repository, 'dist');

/** What a program prints, in a process of its own. */
function run(program: string): unknown {
  return JSON.parse(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8', stdio: 'pipe' }));
}

const inFolder = (...parts: string[]) => JSON.stringify(path.join(...parts));

describe('the modules in one file', () => {
  it('export what the sources do, to import as to require', () => {
    const names = Object.keys(octoformer).sort();
    expect(run(`console.log(JSON.stringify(Object.keys(require(${inFolder(dist)})).sort()))`)).toEqual(names);
    expect(
      run(
        `import(${inFolder(dist, 'index.js')}).then((all) => console.log(JSON.stringify(Object.keys(all).filter((name) => name !== 'default' && name !== 'module.exports').sort())))`,
      ),
    ).toEqual(names);
  });

  it('are the same ones by whichever file they are reached', () => {
    const program = `
      const { OctoformerError, AutoTokenizer } = require(${inFolder(dist)});
      const error = require(${inFolder(dist, 'binding', 'error.js')});
      const tokenizer = require(${inFolder(dist, 'models', 'auto_tokenizer.js')});
      console.log(JSON.stringify([OctoformerError === error.OctoformerError, AutoTokenizer === tokenizer.AutoTokenizer]));`;
    expect(run(program)).toEqual([true, true]);
  });
});

describe('bundle()', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'octoformer-bundle-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Lays modules out as tsc writes them, and bundles them. */
  function bundled(modules: Readonly<Record<string, string>>): unknown {
    for (const [file, text] of Object.entries(modules)) {
      mkdirSync(path.join(folder, path.dirname(file)), { recursive: true });
      writeFileSync(
        path.join(folder, file),
        `"use strict";
${text}
//# sourceMappingURL=${path.basename(file)}.map
`,
      );
      writeFileSync(path.join(folder, `${file}.map`), '{}');
    }
    return run(`import(${inFolder(repository, 'scripts', 'bundle.mjs')}).then(({ bundle }) => {
      bundle(${inFolder(folder)}, 'index.js');
      console.log('null');
    })`);
  }

  it('runs each module once, in the order of the imports, those of a cycle too', () => {
    bundled({
      'index.js':
        'exports.log = [];\nconst a = require("./a");\nconst b = require("./b/index");\nexports.log.push("index", a.name, b.name);',
      'a.js': 'exports.name = "a";\nrequire("./index").log.push("a");\nrequire("./b");',
      'b/index.js': 'const a = require("../a");\nexports.name = "after " + a.name;\nrequire("../index").log.push("b");',
    });
    expect(run(`console.log(JSON.stringify(require(${inFolder(folder)}).log))`)).toEqual([
      'a',
      'b',
      'index',
      'a',
      'after a',
    ]);
  });

  it('leaves what is required when it is needed, and what that alone imports, in files of their own', () => {
    bundled({
      'index.js': `exports.state = require("./state");\nexports.rare = () => require('./parts/rare');`,
      'state.js': 'exports.runs = [];',
      'parts/rare.js':
        'const other = require("./other");\nrequire("../state").runs.push("rare");\nexports.place = [__dirname, other.name];',
      'parts/other.js': 'exports.name = "other";\nrequire("../state").runs.push("other");',
    });
    const program = `
      const { state, rare } = require(${inFolder(folder)});
      const before = state.runs.length;
      const { place } = rare();
      rare();
      const direct = require(${inFolder(folder, 'parts', 'rare.js')}) === rare();
      console.log(JSON.stringify([before, place, state.runs, direct, require(${inFolder(folder, 'state.js')}) === state]));`;
    expect(run(program)).toEqual([0, [path.join(folder, 'parts'), 'other'], ['other', 'rare'], true, true]);
  });

  it('keeps texts beyond ASCII, and packages of others', () => {
    bundled({
      'index.js':
        'exports.text = "Ġ … 😀";\nexports.matches = /^[😀…]$/u.test("😀");\nexports.join = require("node:path").join("a", "b");',
    });
    const program = `
      const { text, matches, join } = require(${inFolder(folder)});
      console.log(JSON.stringify([text, matches, join]));`;
    expect(run(program)).toEqual(['Ġ … 😀', true, path.join('a', 'b')]);
    expect(/^[\0-\x7f]*$/.test(readFileSync(path.join(folder, 'bundle.js'), 'utf8'))).toBe(true);
    expect(readdirSync(folder)).toEqual(['bundle.js', 'index.js']);
  });

  it('names the import of a file that is not there', () => {
    expect(() => bundled({ 'index.js': 'require("./lost");' })).toThrow(/index\.js imports lost/);
  });
});
