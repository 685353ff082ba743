import { readFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { join } from 'node:path';
import { root } from './process.mjs';

/**
 * Loads a TypeScript file of the repository and what it imports, transformed as jest does it, without a folder for the output.
 * @param {string} path relative to the repository
 */
export function loadTypeScript(path) {
  const require = createRequire(import.meta.url);
  const { transformSync } = require('@swc/core');
  const [, options] = Object.values(require(join(root, 'jest.config.cjs')).transform)[0];
  Module._extensions['.ts'] = (module, filename) => {
    const { code } = transformSync(readFileSync(filename, 'utf8'), { ...options, filename });
    module._compile(code, filename);
  };
  return require(join(root, path));
}
