import { type AlignedText, applyChanges } from './aligned_text';
import { isAscii } from './unicode';

/**
 * GPT-2's way to write bytes as printable characters (Radford et al. 2019, `bytes_to_unicode`): printable Latin-1 bytes stand
 * for themselves, the others get the code points from U+0100 on.
 */
const characterOfByte: string[] = [];
const byteOfCharacter = new Map<string, number>();
for (let byte = 0, extra = 0; byte < 256; byte++) {
  const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const character = String.fromCharCode(isPrintable ? byte : 0x100 + extra++);
  characterOfByte.push(character);
  byteOfCharacter.set(character, byte);
}

const encoder = new TextEncoder();

/** The 256 characters in the order of their bytes. */
export function byteAlphabet(): readonly string[] {
  return characterOfByte;
}

/** Every character becomes the characters of its UTF-8 bytes, which all stand for it. */
export function mapToByteCharacters(source: AlignedText): AlignedText {
  const { text } = source;
  if (isAscii(text)) {
    if (/^[!-~]*$/.test(text)) return source;
    // One byte a character: the shape stays.
    let mapped = '';
    for (let i = 0; i < text.length; i++) mapped += characterOfByte[text.charCodeAt(i)];
    return source.withSameShape(mapped);
  }
  const characters: string[] = [];
  const changes: number[] = [];
  for (const character of text) {
    let change = 0;
    for (const byte of encoder.encode(character)) {
      characters.push(characterOfByte[byte] as string);
      changes.push(change);
      change = 1;
    }
  }
  return applyChanges(source, { characters, changes });
}

/** The bytes of a token: of the characters above, or, if it holds any other, of its UTF-8. */
export function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token.charAt(i));
    if (byte === undefined) return encoder.encode(token);
    bytes[i] = byte;
  }
  return bytes;
}
