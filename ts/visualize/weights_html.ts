import { htmlPage, htmlTable } from './html_page';
import { element } from './markup';
import { numberText, shapeText } from './number_text';
import type { WeightsData } from './weights_data';
import { weightsSvg } from './weights_svg';

const style = 'figure svg { max-width: 100%; height: auto; }';

/** A table of all parameters, and their pictures. */
export function weightsHtml(data: WeightsData): string {
  const rows = data.weights.map(({ name, shape, dtype, form, absmax, mean, standardDeviation }) => [
    name,
    shapeText(shape),
    dtype,
    form,
    ...[absmax, mean, standardDeviation].map(numberText),
  ]);
  const head = ['parameter', 'shape', 'stored', 'kept', 'absmax', 'mean', 'standard deviation'];
  return htmlPage({ title: 'Weights', notes: [`${data.weights.length} parameters.`], style }, [
    element('figure', {}, weightsSvg(data)),
    htmlTable(head, rows, [4, 5, 6]),
  ]);
}
