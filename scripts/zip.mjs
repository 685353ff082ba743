import { closeSync, createReadStream, createWriteStream, fstatSync, mkdirSync, openSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { ScriptError } from './process.mjs';

// Layout and signatures: PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end).
const endSignature = 0x06054b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;
const endLength = 22;
const centralLength = 46;
const localLength = 30;
/** The end record may be followed by a comment of at most this many bytes. */
const longestComment = 0xffff;
const stored = 0;
const deflated = 8;

/**
 * Unpacks the entries below `prefix` (a folder, or one file) into `folder`, without the prefix's own folders. Archives over
 * 4 GiB (zip64) and encrypted ones are refused.
 * @returns {Promise<string[]>} the files' paths relative to `folder`
 * @throws ScriptError naming the archive when it is damaged or holds nothing below `prefix`
 */
export async function unpack(archive, prefix, folder) {
  const written = [];
  const start = prefix.endsWith('/') ? prefix.length : prefix.lastIndexOf('/') + 1;
  for (const entry of readDirectory(archive)) {
    if (!entry.name.startsWith(prefix) || entry.name.endsWith('/')) continue;
    const name = entry.name.slice(start);
    if (name.split('/').includes('..')) throw new ScriptError(`${archive}: entry '${entry.name}' leaves its folder`);
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    const end = entry.data + entry.packedSize - 1;
    const source = entry.packedSize
      ? createReadStream(archive, { start: entry.data, end })
      : createReadStream(archive, { end: -1 });
    await pipeline([source, ...(entry.method === deflated ? [createInflateRaw()] : []), createWriteStream(path)]);
    written.push(name);
  }
  if (!written.length) throw new ScriptError(`${archive} holds nothing below '${prefix}'`);
  return written;
}

function readDirectory(archive) {
  const file = openSync(archive, 'r');
  try {
    const size = fstatSync(file).size;
    const read = (position, length) => {
      const buffer = Buffer.alloc(length);
      if (position < 0 || position + length > size || readSync(file, buffer, 0, length, position) !== length) {
        throw new ScriptError(`${archive} is no whole zip archive: it ends at ${size}, ${position + length} is needed`);
      }
      return buffer;
    };
    const tailLength = Math.min(size, endLength + longestComment);
    const tail = read(size - tailLength, tailLength);
    let at = tail.length - endLength;
    while (at >= 0 && tail.readUInt32LE(at) !== endSignature) at--;
    if (at < 0) throw new ScriptError(`${archive} is no zip archive: it has no end record`);
    const count = tail.readUInt16LE(at + 10);
    const directory = read(tail.readUInt32LE(at + 16), tail.readUInt32LE(at + 12));
    return readEntries(archive, directory, count, read);
  } finally {
    closeSync(file);
  }
}

function readEntries(archive, directory, count, read) {
  const entries = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + centralLength > directory.length || directory.readUInt32LE(at) !== centralSignature) {
      throw new ScriptError(`${archive}: entry ${index} of its directory is damaged`);
    }
    const method = directory.readUInt16LE(at + 10);
    const nameLength = directory.readUInt16LE(at + 28);
    const name = directory.toString('utf8', at + centralLength, at + centralLength + nameLength);
    if (method !== stored && method !== deflated)
      throw new ScriptError(`${archive}: '${name}' is packed by unknown method ${method}`);
    const local = read(directory.readUInt32LE(at + 42), localLength);
    if (local.readUInt32LE(0) !== localSignature)
      throw new ScriptError(`${archive}: the header of '${name}' is damaged`);
    // The local header's name and extra field may differ in length from the directory's.
    const data = directory.readUInt32LE(at + 42) + localLength + local.readUInt16LE(26) + local.readUInt16LE(28);
    entries.push({ name, method, packedSize: directory.readUInt32LE(at + 20), data });
    at += centralLength + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  return entries;
}
