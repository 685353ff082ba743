import { htmlPage, htmlTable } from './html_page';
import { element } from './markup';
import { numberText, percentText } from './number_text';
import { describeText, mostOften } from './outlier_text';
import type { OutliersData } from './outliers_data';
import { outliersSvg } from './outliers_svg';

const style = 'figure svg { max-width: 100%; height: auto; }';

/** Features of a layer that its row of the table names. */
const namedFeatures = 8;

/** The picture of all layers, and a table with the features that are outliers most often. */
export function outliersHtml(data: OutliersData): string {
  const head = [
    'layer',
    'tokens',
    'inputs',
    'outlier features',
    'share of entries',
    'largest',
    'most often (times, largest)',
  ];
  const rows = data.layers.map((layer) => [
    layer.module,
    String(layer.rows),
    String(layer.features),
    String(layer.outliers.length),
    percentText(layer.share),
    numberText(layer.largest),
    mostOften(layer, namedFeatures),
  ]);
  return htmlPage({ title: 'Outlier features', notes: [describeText(data)], style }, [
    element('figure', {}, outliersSvg(data)),
    htmlTable(head, rows, [1, 2, 3, 4, 5]),
  ]);
}
