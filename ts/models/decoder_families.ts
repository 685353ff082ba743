import type { Families } from './architecture';

/** The built-in families that generate text. */
export const decoderFamilies: Families = {
  bloom: () => (require('./bloom') as typeof import('./bloom')).bloom,
  falcon: () => (require('./falcon') as typeof import('./falcon')).falcon,
  gemma: () => (require('./gemma') as typeof import('./gemma')).gemma,
  gemma2: () => (require('./gemma2') as typeof import('./gemma2')).gemma2,
  gemma3_text: () => (require('./gemma3') as typeof import('./gemma3')).gemma3Text,
  gpt2: () => (require('./gpt2') as typeof import('./gpt2')).gpt2,
  gptj: () => (require('./gptj') as typeof import('./gptj')).gptj,
  gpt_neo: () => (require('./gpt_neo') as typeof import('./gpt_neo')).gptNeo,
  gpt_neox: () => (require('./gpt_neox') as typeof import('./gpt_neox')).gptNeoX,
  granite: () => (require('./granite') as typeof import('./granite')).granite,
  granitemoe: () => (require('./granite') as typeof import('./granite')).graniteMoe,
  llama: () => (require('./llama') as typeof import('./llama')).llama,
  mistral: () => (require('./mistral') as typeof import('./mistral')).mistral,
  mixtral: () => (require('./mixtral') as typeof import('./mixtral')).mixtral,
  olmo2: () => (require('./olmo2') as typeof import('./olmo2')).olmo2,
  opt: () => (require('./opt') as typeof import('./opt')).opt,
  phi: () => (require('./phi') as typeof import('./phi')).phi,
  phi3: () => (require('./phi3') as typeof import('./phi3')).phi3,
  qwen2: () => (require('./qwen2') as typeof import('./qwen2')).qwen2,
  qwen2_moe: () => (require('./qwen2_moe') as typeof import('./qwen2_moe')).qwen2Moe,
  qwen3: () => (require('./qwen3') as typeof import('./qwen3')).qwen3,
  qwen3_moe: () => (require('./qwen3_moe') as typeof import('./qwen3_moe')).qwen3Moe,
  smollm3: () => (require('./smollm3') as typeof import('./smollm3')).smollm3,
  starcoder2: () => (require('./starcoder2') as typeof import('./starcoder2')).starcoder2,
};
