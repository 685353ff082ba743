// A process of its own for measurements of memory: loads a model and prints as JSON what it needed.
//
//   node scripts/measure-loading.mjs FOLDER OPTIONS       OPTIONS: of from_pretrained, in JSON
//
// Weights are packed, not mapped, unless OPTIONS say so. `peak` and `kept` are bytes of memory beyond those before loading, without pages of mapped files (RssAnon of /proc/self/status: Linux only);
// `resident` is the peak with them.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { root } from './process.mjs';

const { AutoModelForCausalLM, info } = createRequire(import.meta.url)(path.join(root, 'dist'));

function statusBytes(key) {
  return 1024 * Number(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
}

const anonymousBytes = () => statusBytes('RssAnon');

const [folder, options] = process.argv.slice(2);
info(); // loads the addon
const before = anonymousBytes();
const residentBefore = statusBytes('VmRSS');
let peak = before;
const look = () => {
  peak = Math.max(peak, anonymousBytes());
};
const timer = setInterval(look, 1);
const begun = performance.now();
const model = await AutoModelForCausalLM.from_pretrained(folder, {
  packedCache: false,
  ...JSON.parse(options),
  onProgress: look,
});
const seconds = (performance.now() - begun) / 1000;
look();
clearInterval(timer);
const { weights, weightsByForm } = model.memoryFootprint();
console.log(
  JSON.stringify({
    weights,
    weightsByForm,
    peak: peak - before,
    kept: anonymousBytes() - before,
    resident: statusBytes('VmHWM') - residentBefore,
    seconds,
  }),
);
await model.dispose();
