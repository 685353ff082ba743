import type { RetryPolicy } from './hub_client';
import type { FileRequest } from './model_files';
import type { Environment } from './settings';

export interface ResolveProgress {
  readonly phase: 'download';
  readonly file: string;
  /** Bytes of this file here, and in all (0: the server didn't say). */
  readonly loaded: number;
  readonly total: number;
}

export interface ResolveOptions {
  /** `model` (default): config and weights. `tokenizer`: its files, and the config. `{ files }`: those, where they exist. */
  readonly what?: FileRequest['what'] | undefined;
  /** Branch, tag or commit of a hub id; default `main`. */
  readonly revision?: string | undefined;
  /** The GGUF file to take where there are several, or where there are safetensors too. */
  readonly gguf_file?: string | undefined;
  /** Instead of `HF_HUB_CACHE` and its like. */
  readonly cacheFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ResolveProgress) => void) | undefined;
  readonly environment?: Environment;
  readonly retries?: RetryPolicy;
}
