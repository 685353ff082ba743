/** Tokens that stand for bytes, `<0x00>` to `<0xFF>`: what characters that a vocabulary lacks are written with. */

import type { Vocabulary } from './vocabulary';

const byteToken = /^<0x([0-9A-Fa-f]{2})>$/;

/** The token of a byte. */
export function tokenOfByte(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

/** The byte that a token stands for; undefined for other tokens. */
export function byteOfToken(token: string): number | undefined {
  const digits = byteToken.exec(token)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

/** Ids for the bytes of a text, or null where one of them is not in the vocabulary. */
export function byteTokens(vocabulary: Vocabulary, text: string): number[] | null {
  const ids: number[] = [];
  for (const byte of Buffer.from(text, 'utf8')) {
    const id = vocabulary.id(tokenOfByte(byte));
    if (id === undefined) return null;
    ids.push(id);
  }
  return ids;
}
