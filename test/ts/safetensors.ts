import { readFileSync } from 'node:fs';

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The float32 tensors of a safetensors file, read apart from the code under test. */
export function readSafetensors(path: string): Map<string, GoldenTensor> {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__' || dtype !== 'F32') continue;
    const [begin, end] = data_offsets.map((offset) => offset + 8 + headerBytes) as [number, number];
    const copy = new ArrayBuffer(end - begin); // a buffer of its own is aligned
    new Uint8Array(copy).set(bytes.subarray(begin, end));
    tensors.set(name, { shape, data: new Float32Array(copy) });
  }
  return tensors;
}
