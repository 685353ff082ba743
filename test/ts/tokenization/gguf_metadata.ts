import { readFileSync } from 'node:fs';

/** Value types of GGUF, in the order of their numbers; what is not here is a string (8) or an array (9). */
const SCALARS: readonly { bytes: number; read: (view: DataView, at: number) => number | bigint | boolean }[] = [
  { bytes: 1, read: (view, at) => view.getUint8(at) },
  { bytes: 1, read: (view, at) => view.getInt8(at) },
  { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 },
];

/** Metadata of a GGUF file, read without the addon: the tests of this folder need no native build. */
export function readGgufMetadata(file: string): Record<string, unknown> {
  const buffer = readFileSync(file);
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  let at = 16;
  const size = (): number => {
    at += 8;
    return Number(view.getBigUint64(at - 8, true));
  };
  const kind = (): number => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const text = (): string => {
    const length = size();
    at += length;
    return buffer.toString('utf8', at - length, at);
  };
  const value = (type: number): unknown => {
    if (type === 8) return text();
    if (type === 9) {
      const itemType = kind();
      return Array.from({ length: size() }, () => value(itemType));
    }
    const scalar = SCALARS[type];
    if (scalar === undefined) throw new Error(`GGUF value type ${type} is not one that tokenizers use`);
    at += scalar.bytes;
    return scalar.read(view, at - scalar.bytes);
  };
  const metadata: Record<string, unknown> = {};
  for (let left = size(); left > 0; left--) {
    const key = text();
    metadata[key] = value(kind());
  }
  return metadata;
}
