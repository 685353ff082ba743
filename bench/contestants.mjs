/** The engines: what runs them, on which form of the weights, and what must be installed for that. */
import path from 'node:path';
import { installedFromNpm, installedInPython } from './peers/places.mjs';
import { converted, huggingFaceFolder, rewritten } from './peers/prepare.mjs';

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} worker a file of bench/workers
 * @property {string} [needs] the npm package or Python distribution; none: octoformer itself
 * @property {Record<string, unknown>} settings of its worker's `load`
 * @property {() => Promise<string>} model the file or folder that it reads, made on first use
 */

/** @returns {Contestant[]} for a decoder in a GGUF */
export function decoders(name, source, python) {
  const folder = () => huggingFaceFolder(name, source);
  const made = async (target) => converted(name, await folder(), target, python);
  const ours = (settings) => ({ worker: 'octoformer.mjs', settings, model: async () => source });
  const llama = (form) => ({ worker: 'node_llama_cpp.mjs', needs: 'node-llama-cpp', settings: {}, model: form });
  const openvino = (precision) => ({
    worker: 'openvino_genai_text.py',
    needs: 'openvino-genai',
    settings: { precision },
    model: () => made('openvino-causal-int8'),
  });
  const pytorch = (form, needs) => ({ worker: 'pytorch.py', needs, settings: { form }, model: folder });
  return named({
    'octoformer int8': ours({ quantization: 'int8' }),
    'octoformer int8, float tables': ours({ quantization: { scheme: 'int8', embeddings: false } }),
    'octoformer llm.int8': ours({ quantization: 'llm.int8' }),
    'octoformer bfloat16': ours({ dtype: 'bfloat16' }),
    'octoformer float32': ours({ dtype: 'float32' }),
    'llama.cpp Q8_0': llama(() => rewritten(name, source, 'Q8_0')),
    'llama.cpp bfloat16': llama(() => rewritten(name, source, 'BF16')),
    'llama.cpp Q4_1': llama(async () => source),
    'OpenVINO GenAI int8 + bfloat16': openvino('bf16'),
    'OpenVINO GenAI int8 + float32': openvino('f32'),
    'CTranslate2 int8': {
      worker: 'ctranslate2_text.py',
      needs: 'ctranslate2',
      settings: {},
      model: () => made('ctranslate2-int8'),
    },
    'onnxruntime-genai int8': {
      worker: 'onnxruntime_genai_text.py',
      needs: 'onnxruntime-genai',
      settings: {},
      model: () => made('onnxruntime-genai-int8'),
    },
    'PyTorch bfloat16': pytorch('bfloat16', 'torch'),
    'bitsandbytes LLM.int8()': pytorch('bitsandbytes', 'bitsandbytes'),
  });
}

/** @returns {Contestant[]} for an encoder in a Hugging Face folder */
export function encoders(name, folder, python) {
  const ours = (settings) => ({
    worker: 'octoformer.mjs',
    settings: { kind: 'encoder', ...settings },
    model: async () => folder,
  });
  const onnx = () => converted(name, folder, 'onnx-encoder', python);
  const onnxFile = (file) => async () => path.join(await onnx(), 'onnx', file);
  const openvino = (precision) => ({
    worker: 'openvino_encoder.py',
    needs: 'openvino',
    settings: { precision },
    model: onnxFile('model.onnx'),
  });
  const onnxruntime = (file) => ({
    worker: 'onnxruntime_node.mjs',
    needs: 'onnxruntime-node',
    settings: {},
    model: onnxFile(file),
  });
  const pytorch = (form) => ({
    worker: 'pytorch.py',
    needs: 'torch',
    settings: { form, encoder: true },
    model: async () => folder,
  });
  return named({
    'octoformer int8': ours({ quantization: 'int8' }),
    'octoformer bfloat16': ours({ dtype: 'bfloat16' }),
    'octoformer float32': ours({ dtype: 'float32' }),
    'OpenVINO bfloat16': openvino('bf16'),
    'OpenVINO float32': openvino('f32'),
    'onnxruntime-node int8': onnxruntime('model_quantized.onnx'),
    'onnxruntime-node float32': onnxruntime('model.onnx'),
    'transformers.js int8': {
      worker: 'transformers_js.mjs',
      needs: '@huggingface/transformers',
      settings: { dtype: 'q8' },
      model: onnx,
    },
    'CTranslate2 int8': {
      worker: 'ctranslate2_encoder.py',
      needs: 'ctranslate2',
      settings: {},
      model: () => converted(name, folder, 'ctranslate2-int8', python),
    },
    'PyTorch bfloat16': pytorch('bfloat16'),
    'PyTorch float32': pytorch('float32'),
  });
}

/** @returns {Contestant[]} for a Marian with random weights, which is made with PyTorch */
export function translators(python) {
  const folder = () => converted('random', '', 'marian', python);
  const ours = (settings) => ({
    worker: 'octoformer.mjs',
    settings: { kind: 'encoder-decoder', ...settings },
    model: folder,
  });
  return named({
    'octoformer int8': ours({ quantization: 'int8' }),
    'octoformer int8, float tables': ours({ quantization: { scheme: 'int8', embeddings: false } }),
    'octoformer float32': ours({ dtype: 'float32' }),
    'CTranslate2 int8': {
      worker: 'ctranslate2_translator.py',
      needs: 'ctranslate2',
      settings: {},
      model: async () => converted('random', await folder(), 'ctranslate2-marian-int8', python),
    },
  });
}

const named = (contestants) => Object.entries(contestants).map(([name, contestant]) => ({ name, ...contestant }));

/**
 * Those that are wanted and can run here, with the `version` of what they need, and why others can't.
 * @param {Contestant[]} all
 * @param {{ peers: boolean, engines?: string[], python: string | null }} options `engines`: parts of names, in any case; else all
 */
export function choose(all, { peers, engines, python }) {
  const isWanted = ({ name, needs }) =>
    (peers || !needs) && (!engines || engines.some((part) => name.toLowerCase().includes(part.toLowerCase())));
  const wanted = all.filter(isWanted);
  const needed = (extension) =>
    wanted.filter(({ worker, needs }) => needs && worker.endsWith(extension)).map(({ needs }) => needs);
  const versions = { ...installedFromNpm(needed('.mjs')), ...installedInPython(python, needed('.py')) };
  const canRun = ({ needs }) => !needs || versions[needs];
  return {
    chosen: wanted.filter(canRun).map((one) => ({ ...one, version: one.needs ? versions[one.needs] : undefined })),
    missing: wanted
      .filter((one) => !canRun(one))
      .map(({ name, needs }) => ({ name, reason: `${needs} is not installed (npm run bench:peers, or --python)` })),
  };
}
