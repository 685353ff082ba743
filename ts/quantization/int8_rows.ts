/**
 * The largest magnitude of each row (bitsandbytes' `SCB`) by its scale: the float32 number whose 127th part is the scale, bit for bit. One of
 * the neighbours of 127 * scale is it wherever the scale was made that way.
 */
export function scaleMagnitudes(scale: Float32Array): Float32Array {
  return scale.map((step) => {
    const near = Math.fround(step * 127);
    return [near, neighbour(near, -1), neighbour(near, 1)].find((one) => Math.fround(one / 127) === step) ?? near;
  });
}

/** The next float32 number above (or below) a positive one. */
function neighbour(value: number, direction: 1 | -1): number {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0] = Math.max(0, (bits[0] ?? 0) + direction);
  return new Float32Array(bits.buffer)[0] ?? value;
}

/**
 * Rows of int8 numbers as float32 (little-endian) that absmax by row makes the same int8 numbers and scales of again: the largest of a row
 * is its magnitude itself, not a rounded product.
 * @param data int8 numbers as bytes, `[rows, columns]`
 */
export function dequantizedBytes(data: Uint8Array, scale: Float32Array, columns: number): Uint8Array {
  const values = new Int8Array(data.buffer, data.byteOffset, data.byteLength);
  const magnitudes = scaleMagnitudes(scale);
  const out = new Float32Array(values.length);
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0;
    const row = Math.floor(index / columns);
    out[index] = Math.abs(value) === 127 ? Math.sign(value) * (magnitudes[row] ?? 0) : value * (scale[row] ?? 0);
  }
  return new Uint8Array(out.buffer);
}
