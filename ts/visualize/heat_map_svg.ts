import { colorStep, colorSteps, hexColor, probabilityShare, type ShareOf } from './color_scale';
import { element } from './markup';
import type { Grid } from './pooling';
import { svgRect, svgText } from './svg_document';

/** Where cells are drawn, and how large each is. */
export interface CellGeometry {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A grid as rectangles: neighbours of the same colour in a row are one, and the lowest colour is the ground that all lie on. */
export function cellsSvg({ rows, columns, values }: Grid, shareOf: ShareOf, cell: CellGeometry): string[] {
  const { x, y, width, height } = cell;
  const drawn = [svgRect(x, y, columns * width, rows * height, { fill: hexColor(0) })];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; ) {
      const step = colorStep(shareOf(values[row * columns + column] ?? 0));
      let end = column + 1;
      while (end < columns && colorStep(shareOf(values[row * columns + end] ?? 0)) === step) end++;
      if (step > 0) {
        const length = (end - column) * width;
        drawn.push(svgRect(x + column * width, y + row * height, length, height, { fill: hexColor(step) }));
      }
      column = end;
    }
  }
  return drawn;
}

/** A place on the scale, and what is written there. */
export interface LegendMark {
  readonly share: number;
  readonly label: string;
}

export const probabilityMarks: readonly LegendMark[] = [0, 0.01, 0.1, 0.25, 0.5, 1].map((probability) => ({
  share: probabilityShare(probability),
  label: String(probability),
}));

export const legendHeight = 44;
export const legendWidth = 320;
const barHeight = 10;

/** The scale of colours with numbers below, and what they count. */
export function legendSvg(x: number, y: number, caption: string, marks: readonly LegendMark[]): string[] {
  const step = legendWidth / colorSteps;
  return [
    svgText(x, y + 10, caption, { class: 'faint' }),
    element(
      'g',
      { 'shape-rendering': 'crispEdges' },
      Array.from({ length: colorSteps }, (_, index) =>
        svgRect(x + index * step, y + 16, step, barHeight, { fill: hexColor(index) }),
      ),
    ),
    ...marks.map(({ share, label }) =>
      svgText(x + share * legendWidth, y + 16 + barHeight + 13, label, {
        class: 'faint',
        'text-anchor': anchor(share),
      }),
    ),
  ];
}

/** Texts at the ends of the scale stay within it. */
function anchor(share: number): string {
  if (share === 0) return 'start';
  return share === 1 ? 'end' : 'middle';
}
