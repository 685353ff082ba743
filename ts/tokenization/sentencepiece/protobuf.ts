/** A field of a protobuf message: its number, and its value in the form that its wire type has. */
export interface ProtobufField {
  readonly number: number;
  /** Varints as numbers (64 bits as a signed number, exact up to 2^53), fixed-width ones and texts as their bytes. */
  readonly value: number | Uint8Array;
}

const WIRE_VARINT = 0;
const WIRE_FIXED64 = 1;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

/** 64 bits in groups of 7. */
const LONGEST_VARINT = 10;

/**
 * The fields of a protobuf message in the order of the file (protobuf.dev, "Encoding"). Bytes are views of the message, so that nothing is
 * allocated by what a length claims.
 * @throws what `fail` makes of a problem: for a length beyond the end, and wire types that protobuf has given up
 */
export function* protobufFields(bytes: Uint8Array, fail: (problem: string) => Error): Generator<ProtobufField> {
  let at = 0;
  const varint = (): number => {
    let low = 0;
    let high = 0;
    for (let index = 0; index < LONGEST_VARINT; index++) {
      const byte = bytes[at++];
      if (byte === undefined) throw fail(`the file ends at byte ${bytes.length}, within a number`);
      const group = byte & 0x7f;
      if (index < 4) low += group * 2 ** (7 * index);
      else high += group * 2 ** (7 * (index - 4));
      // Negative numbers are written with all 64 bits: the 28 low ones are in `low`.
      if (byte < 0x80) return high >= 2 ** 35 ? (high - 2 ** 36) * 2 ** 28 + low : high * 2 ** 28 + low;
    }
    throw fail(`the number at byte ${at - LONGEST_VARINT} has more than 64 bits`);
  };
  const take = (length: number): Uint8Array => {
    if (length < 0 || length > bytes.length - at)
      throw fail(`${length} bytes are announced at byte ${at}, but ${bytes.length - at} follow`);
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const wire = key % 8;
    if (number < 1) throw fail(`the field before byte ${at} has the number ${number}`);
    switch (wire) {
      case WIRE_VARINT:
        yield { number, value: varint() };
        break;
      case WIRE_FIXED64:
        yield { number, value: take(8) };
        break;
      case WIRE_BYTES:
        yield { number, value: take(varint()) };
        break;
      case WIRE_FIXED32:
        yield { number, value: take(4) };
        break;
      default:
        throw fail(`the field ${number} before byte ${at} has the wire type ${wire}, which such files don't have`);
    }
  }
}
