import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { ScriptError } from './process.mjs';

/** What tsc makes of an `import` is written so; a `require` of the sources, whose module is read when it is first needed, has single quotes. */
const importCall = /\brequire\((["'])(\.[^"']*)\1\)/g;

/** How a stub tells importing ES modules the names that it exports: they read files without running them. */
const exportedName =
  /^(?:exports\.([\w$]+) = |Object\.defineProperty\(exports, "([\w$]+)", \{ enumerable: true, get)/gm;

/**
 * Puts all modules that `entry` imports into one file, `bundle.js`, since Node.js takes a third of a millisecond and some 40 KB for each file that it reads.
 * Their own files remain, as one line that takes the module from there; modules that are read when they are needed stay in files of their own. So every module
 * exists once, whichever file a program begins with.
 * @param {string} folder with the CommonJS modules that tsc wrote
 * @param {string} entry such as `index.js`
 */
export function bundle(folder, entry) {
  /** Text by file, imports as paths from `folder`. @type {Map<string, string>} */
  const texts = new Map();
  const bundled = new Set();

  /** @param {string} file @param {boolean} inBundle */
  const visit = (file, inBundle) => {
    if (bundled.has(file) || (texts.has(file) && !inBundle)) return;
    if (inBundle) bundled.add(file);
    /** @type {[string, boolean][]} */
    const imports = [];
    texts.set(
      file,
      readFileSync(join(folder, file), 'utf8').replace(importCall, (_, quote, path) => {
        const imported = fileOf(folder, posix.join(posix.dirname(file), path), file);
        imports.push([imported, inBundle && quote === '"']);
        return `require("./${imported}")`;
      }),
    );
    for (const [imported, isBundled] of imports) visit(imported, isBundled);
  };
  visit(entry, true);

  for (const [file, text] of texts) {
    const place = posix.relative(posix.dirname(file), 'bundle.js');
    const take = `module.exports = require("${place.startsWith('.') ? place : `./${place}`}")("./${file}"`;
    if (bundled.has(file)) {
      const names = [...new Set([...text.matchAll(exportedName)].map(([, own, passedOn]) => own ?? passedOn))];
      writeFileSync(join(folder, file), `"use strict";\n${take});\n0 && (module.exports = { ${names.join(', ')} });\n`);
    } else {
      // On one line, so that the lines of the source map stay right.
      writeFileSync(join(folder, file), `${take}, function (exports, require, __dirname) { ${text}\n});\n`);
    }
  }
  writeBundle(
    folder,
    [...bundled].map((file) => [file, texts.get(file)]),
  );
}

/** As Node.js resolves a path without an extension. */
function fileOf(folder, path, from) {
  const file = [`${path}.js`, posix.join(path, 'index.js')].find((candidate) => existsSync(join(folder, candidate)));
  if (!file) throw new ScriptError(`${from} imports ${path}, which tsc did not write to ${folder}`);
  return file;
}

const runModule = `const loaded = new Map();
function load(name, body = bodies[name]) {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  if (body === undefined) return require(name);
  const exports = {};
  loaded.set(name, exports);
  body(exports, load, __dirname + name.slice(1, name.lastIndexOf("/")));
  return exports;
}
module.exports = load;
`;

/** @param {string} folder @param {[string, string][]} modules */
function writeBundle(folder, modules) {
  const bodies = modules.map(
    ([file, text]) => `"./${file}"(exports, require, __dirname) {\n${ascii(withoutMap(text))}},\n`,
  );
  writeFileSync(join(folder, 'bundle.js'), `"use strict";\nconst bodies = {\n${bodies.join('')}};\n${runModule}`);
  for (const [file] of modules) rmSync(join(folder, `${file}.map`), { force: true });
}

/** Node.js reads no source maps of several parts, and the package has no sources that they could lead to. */
function withoutMap(text) {
  return text.replace(/^\/\/# sourceMappingURL=.*\n?/m, '');
}

/** One character beyond Latin-1 would make V8 keep two bytes for each of the file's. */
function ascii(text) {
  return text.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
