import { readTokenizer, resolveTokenizer } from '../models/auto_tokenizer';
import type { LoadOptions } from '../models/load_options';
import type { Tokenizer } from '../tokenization';

/**
 * Opens a model and the tokenizer beside it. Files are looked for, or fetched, one after the other; then the tokenizer is read while other
 * threads load the weights.
 */
export async function openWithTokenizer<Model extends { dispose(): Promise<void> }>(
  source: string,
  options: LoadOptions,
  auto: { from_pretrained(source: string, options: LoadOptions): Promise<Model> },
): Promise<{ readonly model: Model; readonly tokenizer: Tokenizer }> {
  const { revision, gguf_file, signal, onProgress } = options;
  const files = await resolveTokenizer(source, {
    ...(revision === undefined ? {} : { revision }),
    ...(gguf_file === undefined ? {} : { gguf_file }),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
  const loading = auto.from_pretrained(source, options);
  try {
    const [model, tokenizer] = await Promise.all([loading, readTokenizer(files)]);
    return { model, tokenizer };
  } catch (error) {
    loading.then(
      (model) => model.dispose(),
      () => {}, // it is the error, or another one came first
    );
    throw error;
  }
}
