const { TestEnvironment } = require('jest-environment-node');

/**
 * The addon makes its objects in Node's main realm. A test's own realm must share the constructors with it, or
 * `instanceof Float32Array` fails on everything native.
 */
const shared = [
  'ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array',
  'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array',
];

/** Models of tests are loaded once: their packed weights would only fill the user's cache. */
process.env.OCTOFORMER_PACKED_CACHE ??= 'off';

module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup();
    for (const name of shared) this.global[name] = globalThis[name];
  }
};
