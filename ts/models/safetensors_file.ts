import type { FileHandle } from 'node:fs/promises';
import { dtypeBytes, type StoredTensor } from './stored_tensors';

/** The bytes of a tensor. */
export function tensorBytes({ dtype, shape }: StoredTensor): number {
  return shape.reduce((product, size) => product * size, dtypeBytes[dtype]);
}

/**
 * Writes tensors as a safetensors file (https://github.com/huggingface/safetensors), one after another, wide numbers first so that each lies
 * at a multiple of its size.
 * @param written called with the bytes of every piece; what it throws ends the writing
 */
export async function writeSafetensors(
  file: FileHandle,
  tensors: readonly StoredTensor[],
  written: (bytes: number) => void,
): Promise<void> {
  const sorted = [...tensors].sort(
    (a, b) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  // transformers wants to know which framework's layout it is.
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const tensor of sorted) {
    const end = offset + tensorBytes(tensor);
    header[tensor.name] = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8;
  const start = Buffer.alloc(8 + padded, ' ');
  start.writeBigUInt64LE(BigInt(padded));
  text.copy(start, 8);
  await writeAll(file, start);
  for (const tensor of sorted) {
    for await (const piece of tensor.read()) {
      await writeAll(file, piece);
      written(piece.byteLength);
    }
  }
}

/** A single write may take less than what it is given. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done);
    done += bytesWritten;
  }
}
