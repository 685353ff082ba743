import { numberText, percentText } from './number_text';
import { describeText, mostOften } from './outlier_text';
import type { OutliersData } from './outliers_data';
import { painter, table, visible } from './terminal_text';

const namedFeatures = 3;

/** A line for each layer; those with outliers stand out. */
export function outliersAnsi(data: OutliersData): string {
  const paint = painter(true);
  const head = ['layer', 'inputs', 'outlier features', 'of entries', 'largest', 'most often (times, largest)'];
  const rows = data.layers.map((layer) => {
    const line = [
      visible(layer.module),
      String(layer.features),
      String(layer.outliers.length),
      percentText(layer.share),
      numberText(layer.largest),
      mostOften(layer, namedFeatures),
    ];
    return layer.outliers.length > 0 ? line : line.map((text) => paint('dim', text));
  });
  return [
    table([head.map((name) => paint('dim', name)), ...rows], [1, 2, 3, 4]),
    paint('dim', describeText(data)),
  ].join('\n');
}
