import { cellsSvg, legendHeight, legendSvg } from './heat_map_svg';
import { histogramSvg } from './histogram_svg';
import { element } from './markup';
import { numberText, shapeText } from './number_text';
import { poolLargest } from './pooling';
import { characterWidth, headHeight, margin, svgDocument, svgText } from './svg_document';
import type { WeightSummary, WeightsData } from './weights_data';

const panel = { width: 430, height: 136, columns: 2 } as const;
const histogram = { width: 300, height: 72 } as const;
/** Of the heat map's sides. */
const mapSide = 86;

/** More parameters are not drawn: the picture says how many are left out. */
const mostPanels = 200;
/** Cells of all heat maps together, so that a picture of many stays small. */
const mostCells = 60_000;

/** A panel for each parameter: histogram and heat map. */
export function weightsSvg({ weights }: WeightsData): string {
  const drawn = weights.slice(0, mostPanels);
  const lines = [
    'Left: how often numbers occur (heights follow the logarithm of the count).',
    'Right: the largest magnitude of each block of the matrix; rows are output features.',
    ...(drawn.length < weights.length ? [`The first ${drawn.length} of ${weights.length} parameters are shown.`] : []),
  ];
  const side = Math.max(8, Math.min(64, Math.floor(Math.sqrt(mostCells / Math.max(drawn.length, 1)))));
  const top = headHeight(lines.length) + legendHeight + margin;
  const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => ({ share, label: String(share) }));
  const size = {
    width: 2 * margin + panel.columns * panel.width,
    height: top + Math.ceil(drawn.length / panel.columns) * panel.height + margin,
  };
  return svgDocument({ title: 'Weights', lines, ...size }, [
    ...legendSvg(margin, headHeight(lines.length), "magnitude, as a share of the parameter's largest", marks),
    ...drawn.map((weight, index) => {
      const x = margin + (index % panel.columns) * panel.width;
      const y = top + Math.floor(index / panel.columns) * panel.height;
      return element('g', {}, panelSvg(weight, x, y, side));
    }),
  ]);
}

function panelSvg(weight: WeightSummary, x: number, y: number, side: number): string[] {
  const { absmax } = weight;
  const grid = poolLargest(weight.magnitudes, side, side);
  const cell = {
    x: x + histogram.width + 16,
    y: y + 32,
    width: mapSide / grid.columns,
    height: Math.min(mapSide / grid.rows, mapSide / 4), // a vector is a strip
  };
  return [
    svgText(x, y + 12, shortened(weight.name)),
    svgText(x, y + 26, describeNumbers(weight), { class: 'faint' }),
    ...histogramSvg(weight.histogram, { x, y: y + 32, ...histogram }),
    element(
      'g',
      { 'shape-rendering': 'crispEdges' },
      cellsSvg(grid, (magnitude) => (absmax === 0 ? 0 : magnitude / absmax), cell),
    ),
  ];
}

function describeNumbers({ shape, form, dtype, mean, standardDeviation }: WeightSummary): string {
  return [
    shapeText(shape),
    `${form} (stored: ${dtype})`,
    `mean ${numberText(mean)}`,
    `sd ${numberText(standardDeviation)}`,
  ].join('  ');
}

/** The end of a name tells more than its beginning. */
function shortened(name: string): string {
  const most = Math.floor((panel.width - margin) / characterWidth);
  const characters = [...name];
  return characters.length <= most ? name : `\u2026${characters.slice(1 - most).join('')}`;
}
