import { barHeights, type Histogram } from './histogram';
import { numberText } from './number_text';
import { svgRect, svgText } from './svg_document';

/** Where a histogram is drawn; numbers below it need another 14 pixels. */
export interface HistogramGeometry {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export function histogramSvg(histogram: Histogram, { x, y, width, height }: HistogramGeometry): string[] {
  const heights = barHeights(histogram);
  const bar = width / heights.length;
  const label = numberText(histogram.limit);
  return [
    ...heights.flatMap((share, index) =>
      share === 0
        ? []
        : [svgRect(x + index * bar, y + height * (1 - share), bar, height * share, { class: 'bar', fill: '#4a7ebb' })],
    ),
    svgRect(x, y + height, width, 1, { class: 'ink' }),
    svgText(x, y + height + 13, `-${label}`, { class: 'faint' }),
    svgText(x + width / 2, y + height + 13, '0', { class: 'faint', 'text-anchor': 'middle' }),
    svgText(x + width, y + height + 13, label, { class: 'faint', 'text-anchor': 'end' }),
  ];
}
