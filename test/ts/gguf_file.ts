/** A tensor of a GGUF file: its shape outermost first, ggml's type (0: F32), and the bytes in that form. */
export interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type?: number;
  readonly data: Uint8Array;
}

const alignment = 32;
const types = { uint32: 4, float32: 6, bool: 7, string: 8, array: 9 } as const;

/** What metadata may be made of here. */
export type GgufValue = string | number | boolean | readonly boolean[];

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function pair(key: string, value: GgufValue): Buffer {
  if (typeof value === 'object') {
    const head = [uint32(types.array), uint32(types.bool), uint64(value.length)];
    return Buffer.concat([text(key), ...head, Buffer.from(value.map(Number))]);
  }
  if (typeof value === 'boolean') return Buffer.concat([text(key), uint32(types.bool), Buffer.from([Number(value)])]);
  if (typeof value === 'string') return Buffer.concat([text(key), uint32(types.string), text(value)]);
  if (Number.isInteger(value)) return Buffer.concat([text(key), uint32(types.uint32), uint32(value)]);
  const float = Buffer.alloc(4);
  float.writeFloatLE(value);
  return Buffer.concat([text(key), uint32(types.float32), float]);
}

const padding = (length: number) => Buffer.alloc((alignment - (length % alignment)) % alignment);

/** The bytes of a GGUF file, version 3. Whole numbers are written as unsigned ones of 32 bits, others as float32. */
export function ggufBytes(metadata: Readonly<Record<string, GgufValue>>, tensors: readonly GgufTensor[]): Buffer {
  const pairs = Object.entries(metadata).map(([key, value]) => pair(key, value));
  let offset = 0;
  const descriptions = tensors.map(({ name, shape, type = 0, data }) => {
    const sizes = [...shape].reverse().map(uint64);
    const description = Buffer.concat([text(name), uint32(shape.length), ...sizes, uint32(type), uint64(offset)]);
    offset += data.byteLength + padding(data.byteLength).length;
    return description;
  });
  const counts = [uint64(tensors.length), uint64(pairs.length)];
  const header = Buffer.concat([Buffer.from('GGUF'), uint32(3), ...counts, ...pairs, ...descriptions]);
  const bodies = tensors.flatMap(({ data }) => [data, padding(data.byteLength)]);
  return Buffer.concat([header, padding(header.length), ...bodies]);
}
