import { AutoTokenizer } from '../models/auto_tokenizer';
import type { LoadOptions } from '../models/load_options';
import type { Tokenizer } from '../tokenization';

/** Opens the tokenizer beside a model. */
export function openTokenizer(source: string, options: LoadOptions): Promise<Tokenizer> {
  const { revision, gguf_file, signal, onProgress } = options;
  return AutoTokenizer.from_pretrained(source, {
    ...(revision === undefined ? {} : { revision }),
    ...(gguf_file === undefined ? {} : { gguf_file }),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
}
