import { callNative, nativeAddon } from '../binding/load';
import type { NativeCheckpoint } from '../binding/native';

/** A checkpoint in use; `release()` closes it when nobody else uses it. */
export interface OpenCheckpoint {
  readonly checkpoint: NativeCheckpoint;
  release(): void;
}

interface Shared {
  readonly opening: Promise<NativeCheckpoint>;
  users: number;
}

/** By their files. */
const open = new Map<string, Shared>();

/**
 * Opens a checkpoint, or gives the one that is open: the model and the tokenizer of a GGUF file are read at the same time, and its header
 * has a megabyte or more of tokens.
 * @throws OctoformerError NOT_FOUND, INVALID_CHECKPOINT
 */
export async function openCheckpoint(files: readonly string[]): Promise<OpenCheckpoint> {
  const key = JSON.stringify(files);
  const shared = open.get(key) ?? { opening: callNative(() => nativeAddon().openCheckpoint(files)), users: 0 };
  open.set(key, shared);
  shared.users++;
  const leave = () => {
    shared.users--;
    if (shared.users === 0) open.delete(key);
    return shared.users === 0;
  };
  try {
    const checkpoint = await shared.opening;
    return {
      checkpoint,
      release: () => {
        if (leave()) checkpoint.dispose();
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}
