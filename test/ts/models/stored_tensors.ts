import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { nativeAddon } from '../../../ts/binding/load';
import type { StoredTensor } from '../random_checkpoint';

/** The tensors of a checkpoint, widened to float32. */
export async function tensorsOf(source: string): Promise<StoredTensor[]> {
  const files = readdirSync(source).filter((file) => /^model.*\.safetensors$/.test(file));
  const checkpoint = await nativeAddon().openCheckpoint(files.map((file) => join(source, file)));
  try {
    return checkpoint.tensors.map(({ name, shape }) => {
      const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
      const data = checkpoint.readRows(name, 0, rows);
      return { name, shape, data };
    });
  } finally {
    checkpoint.dispose();
  }
}
