import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AutoModelForCausalLM, AutoTokenizer, OctoformerError } from '../../../ts';
import { randomLlama, randomNumbers, safetensorsBytes } from '../random_checkpoint';

const fixtures = path.resolve(__dirname, '../../fixtures');
const folder = mkdtempSync(path.join(tmpdir(), 'octoformer-hostile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { config, tensors } = randomLlama({
  hidden_size: 16,
  intermediate_size: 16,
  vocab_size: 16,
  num_hidden_layers: 1,
});
const safetensors = safetensorsBytes(tensors);
const safetensorsHeader = 8 + Number(safetensors.readBigUInt64LE(0));
writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
const gguf = readFileSync(path.join(fixtures, 'gguf/llama-f32.gguf'));

const formats = [
  { format: 'safetensors', bytes: safetensors, header: safetensorsHeader, file: 'model.safetensors', source: folder },
  {
    format: 'gguf',
    bytes: gguf,
    header: Math.min(gguf.length, 16_384),
    file: 'model.gguf',
    source: path.join(folder, 'model.gguf'),
  },
];

/** Loads and generates two tokens; the error's code, or "fine". Anything but an OctoformerError fails the test. */
async function outcome(source: string): Promise<{ code: string; message: string }> {
  try {
    await using model = await AutoModelForCausalLM.from_pretrained(source);
    await model.generate({ input_ids: [[1, 2]] }, { max_new_tokens: 2, eos_token_id: null });
  } catch (error) {
    if (OctoformerError.is(error)) return error;
    throw error;
  }
  return { code: 'fine', message: '' };
}

describe.each(formats)('$format', ({ bytes, header, file, source }) => {
  test('as it is, it loads', async () => {
    writeFileSync(path.join(folder, file), bytes);
    expect(await outcome(source)).toEqual({ code: 'fine', message: '' });
  });

  test('cut at 64 places it gives INVALID_CHECKPOINT and names the file', async () => {
    for (let i = 0; i < 64; i++) {
      // Half of the places lie in the header, half in the whole file.
      const end = Math.floor((i % 2 ? bytes.length - 1 : header) * (i / 64));
      writeFileSync(path.join(folder, file), bytes.subarray(0, end));
      const { code, message } = await outcome(source);
      expect([end, code]).toEqual([end, 'INVALID_CHECKPOINT']);
      expect(message).toContain(file);
    }
  });

  test('2,000 random flips of header bytes each load or give a coded error', async () => {
    const next = randomNumbers(2026);
    const codes = new Map<string, number>();
    for (let i = 0; i < 2000; i++) {
      const changed = Buffer.from(bytes);
      const flips = 1 + (i % 3);
      for (let flip = 0; flip < flips; flip++) {
        const place = Math.floor(((next() + 1) / 2) * header);
        changed[place] = (changed[place] ?? 0) ^ (1 << Math.floor(((next() + 1) / 2) * 8));
      }
      writeFileSync(path.join(folder, file), changed);
      const { code } = await outcome(source);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    codes.delete('fine');
    const expected = new Set([
      'INVALID_CHECKPOINT',
      'MISSING_WEIGHT',
      'SHAPE_MISMATCH',
      'UNSUPPORTED_ARCHITECTURE',
      'INVALID_TOKENIZER',
      'INVALID_ARGUMENT', // a smaller vocabulary no longer holds the ids asked for
      'CONTEXT_OVERFLOW',
    ]);
    expect([...codes.keys()].filter((code) => !expected.has(code))).toEqual([]);
    expect(codes.get('INVALID_CHECKPOINT')).toBeGreaterThan(100);
  }, 240_000);
});

describe('JSON files', () => {
  test.each([
    ['config.json', '{"model_type": "llama",', 'INVALID_CHECKPOINT'],
    ['config.json', '\u0000', 'INVALID_CHECKPOINT'],
    ['generation_config.json', '[1]', 'INVALID_CHECKPOINT'],
    ['generation_config.json', '{"temperature": "hot"}', 'INVALID_CHECKPOINT'],
    ['model.safetensors.index.json', '{"weight_map": {"a": "../../etc/passwd"}}', 'INVALID_CHECKPOINT'],
    ['model.safetensors.index.json', '{"weight_map": 3}', 'INVALID_CHECKPOINT'],
  ])('%s = %j gives %s and names the file', async (file, text, code) => {
    const own = mkdtempSync(path.join(folder, 'json-'));
    writeFileSync(path.join(own, 'config.json'), JSON.stringify(config));
    if (!file.includes('index')) writeFileSync(path.join(own, 'model.safetensors'), safetensors);
    writeFileSync(path.join(own, file), text);
    const error = await outcome(own);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(file)]);
  });

  test.each(['{', '[]', '{"model": null}', '{"model": {"type": "BPE", "vocab": 3, "merges": []}}'])(
    'tokenizer.json = %j gives INVALID_TOKENIZER',
    async (text) => {
      const own = mkdtempSync(path.join(folder, 'tokenizer-'));
      copyFileSync(path.join(folder, 'config.json'), path.join(own, 'config.json'));
      writeFileSync(path.join(own, 'tokenizer.json'), text);
      await expect(AutoTokenizer.from_pretrained(own)).rejects.toMatchObject({ code: 'INVALID_TOKENIZER' });
    },
  );
});
