import {
  colorOf,
  colorStep,
  colorSteps,
  hexColor,
  isLight,
  probabilityShare,
  terminalColor,
} from '../../../ts/visualize/color_scale';
import { cellsSvg, legendSvg } from '../../../ts/visualize/heat_map_svg';
import { poolLargest } from '../../../ts/visualize/pooling';
import { elementsOf, parseXml } from './xml';

const steps = [...Array(colorSteps).keys()];

/** Relative luminance of WCAG 2: what is left of a colour for a reader who sees no hues. */
function luminance(step: number): number {
  const { red, green, blue } = colorOf(step);
  const linear = (byte: number) => {
    const value = byte / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

/** CIE 1976 lightness: equal differences look equal. */
const lightness = (step: number) => 116 * Math.cbrt(luminance(step)) - 16;

describe('the scale of colours', () => {
  it('becomes lighter with every step, evenly, by enough to be seen', () => {
    const differences = steps.slice(1).map((step) => lightness(step) - lightness(step - 1));
    const mean = (lightness(colorSteps - 1) - lightness(0)) / (colorSteps - 1);
    expect(mean).toBeGreaterThan(1.2); // 64 steps from nearly black to nearly white
    // Oklab's lightness is not CIE's, and colours are rounded to bytes.
    for (const difference of differences.slice(4)) {
      expect(difference).toBeGreaterThan(0.5 * mean);
      expect(difference).toBeLessThan(1.5 * mean);
    }
    expect(Math.min(...differences)).toBeGreaterThan(0);
  });

  it('goes from blue to yellow, so that no two colours differ by red and green alone', () => {
    expect([colorOf(0), colorOf(colorSteps - 1)]).toEqual([
      { red: 8, green: 14, blue: 62 },
      { red: 249, green: 245, blue: 132 },
    ]);
    for (const step of steps) expect(Math.abs(colorOf(step).red - colorOf(step).green)).toBeLessThan(20);
  });

  it('takes shares, with what is beyond at the ends', () => {
    expect([-1, 0, 0.5, 1, 2, Number.NaN].map(colorStep)).toEqual([0, 0, 32, 63, 63, 0]);
    expect(hexColor(0)).toBe('#080e3e');
    expect([0, 0.25, 1].map(probabilityShare)).toEqual([0, 0.5, 1]);
  });

  it('has colours of terminals that become lighter too, and text that can be read on them', () => {
    expect([terminalColor(0), terminalColor(colorSteps - 1)]).toEqual([17, 228]);
    for (const step of steps) {
      const contrast = isLight(step) ? (luminance(step) + 0.05) / 0.05 : 1.05 / (luminance(step) + 0.05);
      expect(contrast).toBeGreaterThan(4.6); // WCAG 2 asks for 4.5
    }
  });
});

describe('cells', () => {
  it('one rectangle a run of equal colours, at its place', () => {
    const grid = { rows: 2, columns: 4, values: Float32Array.of(0, 1, 1, 0.5, 0.25, 0, 0, Number.NaN) };
    const drawn = cellsSvg(grid, (value) => value, { x: 10, y: 20, width: 5, height: 3 });
    expect(drawn.map((rect) => parseXml(rect).attributes)).toEqual([
      { x: '10', y: '20', width: '20', height: '6', fill: hexColor(0) },
      { x: '15', y: '20', width: '10', height: '3', fill: hexColor(63) },
      { x: '25', y: '20', width: '5', height: '3', fill: hexColor(32) },
      { x: '10', y: '23', width: '5', height: '3', fill: hexColor(16) },
    ]);
  });

  it('a legend has its marks where their shares are', () => {
    const drawn = legendSvg(100, 0, 'units', [
      { share: 0, label: 'a' },
      { share: 0.5, label: 'b' },
      { share: 1, label: 'c' },
    ]).map(parseXml);
    const texts = drawn.filter(({ name }) => name === 'text');
    expect(texts.map(({ attributes: { x }, children }) => [x, ...children])).toEqual([
      ['100', 'units'],
      ['100', 'a'],
      ['260', 'b'],
      ['420', 'c'],
    ]);
    const bar = drawn
      .flatMap((one) => elementsOf(one, 'rect'))
      .map(({ attributes: { x, width, fill } }) => [x, width, fill]);
    expect(bar).toEqual(steps.map((step) => [String(100 + 5 * step), '5', hexColor(step)]));
  });
});

describe('grids that are too large', () => {
  it('keep the largest of each block, the last ones being smaller', () => {
    const values = Float32Array.from({ length: 15 }, (_, index) => index);
    expect(poolLargest({ rows: 3, columns: 5, values }, 2, 2)).toEqual({
      rows: 2,
      columns: 2,
      rowStep: 2,
      columnStep: 3,
      values: Float32Array.of(7, 9, 12, 14),
    });
  });

  it('are left as they are where they fit', () => {
    const grid = { rows: 1, columns: 3, values: Float32Array.of(3, 1, 2) };
    expect(poolLargest(grid, 1, 3)).toEqual({ ...grid, rowStep: 1, columnStep: 1 });
  });
});
