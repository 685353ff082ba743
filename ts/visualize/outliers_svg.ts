import { probabilityShare } from './color_scale';
import { cellsSvg, legendHeight, legendSvg, probabilityMarks } from './heat_map_svg';
import { element } from './markup';
import { describeLayer, describeText } from './outlier_text';
import type { LayerOutliers, OutliersData } from './outliers_data';
import { type Grid, poolLargest } from './pooling';
import { headHeight, margin, svgDocument, svgText, textWidth } from './svg_document';

/** More layers are not drawn: the picture says how many are left out. */
const mostLayers = 500;
/** Features of a layer are drawn in so many columns at most. */
const mostColumns = 256;
const strip = { width: 512, height: 12, pitch: 16 } as const;
const labelGap = 8;

/** A strip for each layer: input features from left to right, as light as they are outliers often. */
export function outliersSvg(data: OutliersData): string {
  const drawn = data.layers.slice(0, mostLayers);
  const lines = [
    describeText(data),
    'Input features from left to right (neighbours share a column where there are many); dark: never an outlier.',
    ...(drawn.length < data.layers.length
      ? [`The first ${drawn.length} of ${data.layers.length} layers are shown.`]
      : []),
  ];
  const x = margin + Math.max(...drawn.map(({ module }) => textWidth(module)), 0) + labelGap;
  const top = headHeight(lines.length) + legendHeight + margin;
  const notes = drawn.map(describeLayer);
  const size = {
    width: x + strip.width + labelGap + Math.max(...notes.map(textWidth), 0) + margin,
    height: top + drawn.length * strip.pitch + margin,
  };
  const caption = 'share of the tokens for which a feature is an outlier (colours follow its square root)';
  return svgDocument({ title: 'Outlier features', lines, ...size }, [
    ...legendSvg(margin, headHeight(lines.length), caption, probabilityMarks),
    ...drawn.map((layer, index) => {
      const y = top + index * strip.pitch;
      const grid = poolLargest(shares(layer), 1, mostColumns);
      const cell = { x, y, width: strip.width / grid.columns, height: strip.height };
      return element('g', {}, [
        svgText(x - labelGap, y + 10, layer.module, { 'text-anchor': 'end' }),
        element('g', { 'shape-rendering': 'crispEdges' }, cellsSvg(grid, probabilityShare, cell)),
        svgText(x + strip.width + labelGap, y + 10, notes[index] ?? '', { class: 'faint' }),
      ]);
    }),
  ]);
}

/** By feature: the share of the tokens for which it is an outlier. */
function shares({ features, outliers, rows }: LayerOutliers): Grid {
  const values = new Float32Array(features);
  for (const { feature, count } of outliers) values[feature] = count / rows;
  return { rows: 1, columns: features, values };
}
