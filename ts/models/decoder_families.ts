import type { Architecture } from './architecture';
import { bloom } from './bloom';
import { falcon } from './falcon';
import { gemma } from './gemma';
import { gemma2 } from './gemma2';
import { gemma3Text } from './gemma3';
import { gptNeo } from './gpt_neo';
import { gptNeoX } from './gpt_neox';
import { gpt2 } from './gpt2';
import { gptj } from './gptj';
import { llama } from './llama';
import { mistral } from './mistral';
import { mixtral } from './mixtral';
import { olmo2 } from './olmo2';
import { opt } from './opt';
import { phi } from './phi';
import { phi3 } from './phi3';
import { qwen2 } from './qwen2';
import { qwen2Moe } from './qwen2_moe';
import { qwen3 } from './qwen3';
import { qwen3Moe } from './qwen3_moe';
import { smollm3 } from './smollm3';
import { starcoder2 } from './starcoder2';

/** The built-in families that generate text. */
export const decoderFamilies: readonly Architecture[] = [
  bloom,
  falcon,
  gemma,
  gemma2,
  gemma3Text,
  gpt2,
  gptj,
  gptNeo,
  gptNeoX,
  llama,
  mistral,
  mixtral,
  olmo2,
  opt,
  phi,
  phi3,
  qwen2,
  qwen2Moe,
  qwen3,
  qwen3Moe,
  smollm3,
  starcoder2,
];
