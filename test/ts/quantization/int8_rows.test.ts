import { ops } from '../../../ts';
import { dequantizedBytes, scaleMagnitudes } from '../../../ts/quantization/int8_rows';
import { randomNumbers } from '../random_checkpoint';

const next = randomNumbers(7);

it('gives a magnitude whose 127th part is the scale, bit for bit, for every scale that was made that way', () => {
  // Magnitudes of all sizes, the smallest of whose scales are subnormal.
  const magnitudes = Float32Array.from(
    { length: 20_000 },
    (_, index) => (1 + Math.abs(next())) * 2 ** ((index % 240) - 125),
  );
  const scales = magnitudes.map((one) => Math.fround(one / 127));
  expect(scaleMagnitudes(scales).map((one) => Math.fround(one / 127))).toEqual(scales);
  expect(scaleMagnitudes(Float32Array.of(0))).toEqual(Float32Array.of(0));
});

it.each([
  [1, 1],
  [3, 7],
  [64, 129],
])('rows of %i x %i that are dequantized become the same int8 numbers again', (rows, cols) => {
  for (let round = 0; round < 50; round++) {
    const x = Float32Array.from({ length: rows * cols }, () => next() * 2 ** Math.floor(8 * next()));
    if (round % 5 === 0) x.fill(0, 0, cols); // a row of zeros has scale 0
    const first = ops.quantize(x, { rows, cols });
    const bytes = dequantizedBytes(new Uint8Array(first.data.buffer), first.scale, cols);
    const again = ops.quantize(new Float32Array(bytes.buffer), { rows, cols });
    expect([again.data, again.scale]).toEqual([first.data, first.scale]);
  }
});
