/**
 * Writes a GGUF with the same metadata and the same weights, matrices stored as bfloat16 or Q8_0 and vectors as float32, so that
 * engines can be compared on equal bytes. The values come from octoformer's own reader; the metadata is copied as it is.
 */
import { closeSync, openSync, readSync, renameSync, statSync, writeSync } from 'node:fs';

const alignment = 32; // GGUF's default; the demo model does not set another
/** How numbers are stored: GGUF's code of the type, bytes of so many of them, and the bytes. */
const forms = {
  F32: { code: 0, bytes: (count) => 4 * count, store: (values) => values },
  BF16: { code: 30, bytes: (count) => 2 * count, store: bfloat16 },
  Q8_0: { code: 8, bytes: (count) => (count / 32) * 34, store: q8 },
};
/** Bytes of a GGUF metadata value of a fixed size, by type code. */
const fixedBytes = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const stringType = 8;
const arrayType = 9;
const headerLimit = 64 << 20; // the demo model's header has 2 MB

/** The bytes of the key-value section of a GGUF v3 file, and how many pairs they hold. */
function keyValueSection(file) {
  const bytes = Buffer.alloc(Math.min(statSync(file).size, headerLimit));
  const descriptor = openSync(file, 'r');
  readSync(descriptor, bytes, 0, bytes.length, 0);
  closeSync(descriptor);
  const count = Number(bytes.readBigUInt64LE(16));
  let at = 24;
  const skipString = () => {
    at += 8 + Number(bytes.readBigUInt64LE(at));
  };
  const skipValue = (type) => {
    if (type === stringType) return skipString();
    if (type !== arrayType) {
      at += fixedBytes[type];
      return;
    }
    const elementType = bytes.readUInt32LE(at);
    const elements = Number(bytes.readBigUInt64LE(at + 4));
    at += 12;
    for (let i = 0; i < elements; i++) skipValue(elementType);
  };
  for (let i = 0; i < count; i++) {
    skipString();
    const type = bytes.readUInt32LE(at);
    at += 4;
    skipValue(type);
  }
  return { count, bytes: bytes.subarray(24, at) };
}

function bfloat16(values) {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (b) => (b + 0x7fff + ((b >>> 16) & 1)) >>> 16); // nearest even; weights are finite
}

/** Blocks of 32: a float16 scale, the largest magnitude / 127, and 32 numbers of 8 bits. Rows are multiples of 32 long. */
function q8(values) {
  const blocks = Buffer.alloc(forms.Q8_0.bytes(values.length));
  for (let first = 0, at = 0; first < values.length; first += 32, at += 34) {
    const block = values.subarray(first, first + 32);
    const scale = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    blocks.writeUInt16LE(float16(scale), at);
    for (const [i, value] of block.entries()) blocks.writeInt8(scale > 0 ? Math.round(value / scale) : 0, at + 2 + i);
  }
  return blocks;
}

/** Bits of the nearest float16 to a number of 0 to 65,504; below its normal range (2^-14) they are multiples of 2^-24. */
function float16(value) {
  if (value < 2 ** -14) return Math.round(value * 2 ** 24);
  const exponent = Math.floor(Math.log2(value));
  return ((exponent + 15) << 10) + Math.round((value / 2 ** exponent - 1) * 1024); // a carry enters the exponent, as it should
}

const aligned = (n) => Math.ceil(n / alignment) * alignment;

/**
 * @param {import('../../dist/binding/native').NativeCheckpoint} checkpoint of `source`
 * @param {'BF16' | 'Q8_0'} form of matrices
 */
export function rewriteGguf(checkpoint, source, target, form) {
  const metadata = keyValueSection(source);
  const tensors = checkpoint.tensors.map((tensor) => {
    const matrix = tensor.shape.length > 1;
    const elements = tensor.shape.reduce((a, b) => a * b, 1);
    const stored = forms[matrix ? form : 'F32'];
    return { ...tensor, stored, size: stored.bytes(elements) };
  });

  const head = Buffer.alloc(24);
  head.write('GGUF', 0, 'latin1');
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(BigInt(tensors.length), 8);
  head.writeBigUInt64LE(BigInt(metadata.count), 16);
  const infos = [];
  let offset = 0;
  for (const tensor of tensors) {
    const name = Buffer.from(tensor.name);
    const info = Buffer.alloc(8 + name.length + 4 + 8 * tensor.shape.length + 4 + 8);
    let at = info.writeBigUInt64LE(BigInt(name.length), 0);
    at += name.copy(info, at);
    at = info.writeUInt32LE(tensor.shape.length, at);
    for (const size of tensor.shape.toReversed()) at = info.writeBigUInt64LE(BigInt(size), at);
    at = info.writeUInt32LE(tensor.stored.code, at);
    info.writeBigUInt64LE(BigInt(offset), at);
    infos.push(info);
    offset = aligned(offset + tensor.size);
  }

  const partial = `${target}.partial`;
  const descriptor = openSync(partial, 'w');
  let written = 0;
  const write = (buffer) => {
    written += writeSync(descriptor, buffer);
  };
  const pad = () => write(Buffer.alloc(aligned(written) - written));
  for (const buffer of [head, metadata.bytes, ...infos]) write(buffer);
  pad();
  for (const tensor of tensors) {
    const values = checkpoint.readRows(tensor.name, 0, tensor.shape.length > 1 ? tensor.shape[0] : 1);
    const stored = tensor.stored.store(values);
    write(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
    pad();
  }
  closeSync(descriptor);
  renameSync(partial, target);
}
