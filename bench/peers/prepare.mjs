/** Models as the peers read them, made of the same weights on first use and kept in the cache folder. */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { root, runOrFail } from '../../scripts/process.mjs';
import { modelsFolder } from './places.mjs';

/** The file or folder `name` in the cache; `make(target)` writes it where it isn't there. */
async function kept(name, make) {
  const target = path.join(modelsFolder, name);
  if (existsSync(target)) return target;
  mkdirSync(modelsFolder, { recursive: true });
  await make(target);
  return target;
}

/** A GGUF with matrices of another form, for llama.cpp. */
export function rewritten(name, source, form) {
  return kept(`${name}-${form.toLowerCase()}.gguf`, async (target) => {
    const { nativeAddon } = await import('../../dist/binding/load.js');
    const { rewriteGguf } = await import('./rewrite_gguf.mjs');
    const checkpoint = await nativeAddon().openCheckpoint([source]);
    rewriteGguf(checkpoint, source, target, form);
    checkpoint.dispose();
  });
}

/** A Hugging Face folder in float32, which Python's transformers and every converter read. */
export function huggingFaceFolder(name, source) {
  return kept(`${name}-hugging-face`, async (target) => {
    const { AutoModelForCausalLM } = await import('../../dist/index.js');
    const model = await AutoModelForCausalLM.from_pretrained(source, { dtype: 'float32' });
    await model.save_pretrained(target);
    await model.dispose();
  });
}

/** What convert.py makes of a Hugging Face folder. */
export function converted(name, folder, target, python) {
  return kept(`${name}-${target}`, (result) => {
    runOrFail(`convert.py ${target}`, python, [path.join(root, 'bench/peers/convert.py'), target, folder, result], {
      env: { HF_HUB_OFFLINE: '1' },
    });
  });
}
