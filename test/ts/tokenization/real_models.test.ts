import { Tokenizer, TokenStreamDecoder, tokenizerFromGguf } from '../../../ts/tokenization';
import { failures } from '../goldens/comparison';
import { miniLMFolder, smolLM2File } from '../goldens/real';
import { compareTokenizer, type GoldenTokenizer, readJson } from '../goldens/tokenizer';
import { goldensFolder } from '../goldens_folder';
import { readGgufMetadata } from './gguf_metadata';

// The weights are not in the repository.
const goldens = goldensFolder() ?? '';
const gguf = smolLM2File() ?? '';
const minilm = miniLMFolder() ?? '';
const whenHere = (file: string) => (goldens !== '' && file !== '' ? test : test.skip);

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
  const golden = readJson(goldens, 'real', 'minilm', 'tokenizer.golden.json') as GoldenTokenizer;
  expect(failures(compareTokenizer(Tokenizer.fromFiles(files), golden))).toEqual([]);
});
