import { OctoformerError } from '../binding/error';
import { callNative } from '../binding/load';
import type { NativeCache } from '../binding/native';

/** The native cache behind a KVCache; for the code that runs models. */
export let nativeCache: (cache: KVCache) => NativeCache;

/**
 * Keys and values of the tokens that a model has seen of one sequence. `forward` and `generate` read it and let it grow. It
 * holds native memory until `dispose()` (or until it is collected).
 */
export class KVCache {
  #native: NativeCache | undefined;
  readonly #checkModel: () => unknown;

  static {
    nativeCache = (cache) => cache.#alive();
  }

  /** @param checkModel throws if the model is gone */
  constructor(native: NativeCache, checkModel: () => unknown) {
    this.#native = native;
    this.#checkModel = checkModel;
  }

  /** Tokens in it. */
  get length(): number {
    const native = this.#alive();
    return callNative(() => native.length);
  }

  /** Tokens of the encoder's sequence that the decoder attends to; 0 in models without an encoder. */
  get encodedLength(): number {
    const native = this.#alive();
    return callNative(() => native.encodedLength);
  }

  /** Bytes of its pages; a page that n caches share counts 1/n. */
  get bytes(): number {
    const native = this.#alive();
    return callNative(() => native.bytes);
  }

  /** A second cache of the same tokens; both share their pages until one writes. */
  fork(): KVCache {
    const native = this.#alive();
    return new KVCache(
      callNative(() => native.fork()),
      this.#checkModel,
    );
  }

  /** Forgets the tokens from `length` on. @throws OctoformerError INVALID_ARGUMENT if it has fewer */
  truncate(length: number): void {
    const native = this.#alive();
    if (!Number.isInteger(length) || length < 0 || length > this.length) {
      throw new OctoformerError(
        'INVALID_ARGUMENT',
        `truncate(${length}): the cache has ${this.length} tokens; give an integer from 0 to that`,
      );
    }
    callNative(() => native.truncate(length));
  }

  /** Frees its pages. Later calls fail with DISPOSED; disposing twice is allowed. */
  dispose(): void {
    const native = this.#native;
    this.#native = undefined;
    if (native) callNative(() => native.dispose());
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #alive(): NativeCache {
    this.#checkModel();
    if (this.#native) return this.#native;
    throw new OctoformerError('DISPOSED', 'this KVCache was disposed; make a new one with model.createCache()');
  }
}
