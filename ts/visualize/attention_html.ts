import { type AttentionChoice, type AttentionData, type AttentionPart, chosenPart, partTitles } from './attention_data';
import { attentionScript } from './attention_script';
import { attentionLayout, mostCells, partSvg } from './attention_svg';
import { colorSteps, hexColor, probabilityShare } from './color_scale';
import type { CellGeometry } from './heat_map_svg';
import { dataElement, htmlPage } from './html_page';
import { element, escapeText, printable } from './markup';
import { poolLargest } from './pooling';

/** Cells of all layers and heads that a page holds at most, a byte each: some 4 MB of text. */
const mostNumbers = 3_000_000;

const style =
  '.beside { display: flex; flex-wrap: wrap; gap: 0 2rem; } #all-heads { flex: 1 1 20rem; min-width: 0; } figure svg { max-width: 100%; height: auto; } [hidden] { display: none; } ' +
  '#overview { cursor: pointer; } #readout { min-height: 1.5em; }';

/** What the page's script reads. */
interface PageData {
  readonly colors: readonly string[];
  readonly choice: AttentionChoice;
  readonly parts: readonly {
    readonly name: string;
    readonly title: string;
    readonly heads: readonly number[];
    readonly rowLabels: readonly string[];
    readonly columnLabels: readonly string[];
    readonly cell: CellGeometry;
    /** Of the picture, before it is scaled. */
    readonly width: number;
    /** Base64 of a byte a cell, layer by layer, head by head, row by row: 255 times the square root of the probability. */
    readonly values: string;
  }[];
}

/** A page on which layer and head can be picked; without scripts it shows the chosen ones. */
export function attentionHtml(data: AttentionData): string {
  const maps = data.parts.reduce((sum, { heads }) => sum + heads.reduce((total, count) => total + count, 0), 0);
  const side = Math.max(8, Math.min(mostCells, Math.floor(Math.sqrt(mostNumbers / Math.max(maps, 1)))));
  const chosen = chosenPart(data).name;
  const parts = data.parts.map((part) => pagePart(part, side, data.choice));
  const page: PageData = {
    colors: Array.from({ length: colorSteps }, (_, step) => hexColor(step)),
    choice: { ...data.choice, part: chosen },
    parts: parts.map(({ values }) => values),
  };
  const figures = parts.map(({ svg, values: { name } }) =>
    element('figure', { id: `map-${name}`, hidden: name === chosen ? undefined : 'hidden' }, svg),
  );
  const picker = (id: string, text: string, isHidden = false) =>
    element('label', { hidden: isHidden ? 'hidden' : undefined }, [
      escapeText(`${text} `),
      element('select', { id: `pick-${id}` }),
    ]);
  const notes = [`${data.parts[0]?.keys.length ?? 0} tokens. Everything that this page shows is in it.`];
  return htmlPage({ title: 'Attention', notes, style, script: attentionScript }, [
    element('form', { id: 'controls', hidden: 'hidden', autocomplete: 'off' }, [
      picker('part', 'What', parts.length === 1),
      picker('layer', 'Layer'),
      picker('head', 'Head'),
    ]),
    element('p', { id: 'readout', class: 'mono', role: 'status' }),
    element('div', { class: 'beside' }, [
      ...figures,
      element('section', { id: 'all-heads', hidden: 'hidden' }, [
        element('h2', {}, 'All layers (rows) and heads (columns): one can be picked'),
        element('figure', {}, element('canvas', { id: 'overview', role: 'img', 'aria-label': 'all heads, small' })),
      ]),
    ]),
    dataElement('attention-data', page),
  ]);
}

function pagePart(part: AttentionPart, side: number, choice: AttentionChoice) {
  const { rowLabels, columnLabels, cell, width } = attentionLayout(part, side);
  const size = rowLabels.length * columnLabels.length;
  const maps = part.probabilities.flat();
  const bytes = new Uint8Array(maps.length * size);
  for (const [index, values] of maps.entries()) {
    const pooled = poolLargest({ rows: part.queries.length, columns: part.keys.length, values }, side, side);
    for (let place = 0; place < size; place++) {
      bytes[index * size + place] = Math.round(255 * probabilityShare(pooled.values[place] ?? 0));
    }
  }
  const values: PageData['parts'][number] = {
    name: part.name,
    title: partTitles[part.name],
    heads: part.heads,
    rowLabels: rowLabels.map(printable),
    columnLabels: columnLabels.map(printable),
    cell,
    width,
    values: Buffer.from(bytes).toString('base64'),
  };
  return { svg: partSvg(part, choice, part.name, side), values };
}
