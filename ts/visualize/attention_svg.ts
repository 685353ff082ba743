import {
  type AttentionChoice,
  type AttentionData,
  type AttentionPart,
  chosenPart,
  describeChoice,
  headMap,
  partTitles,
} from './attention_data';
import { probabilityShare } from './color_scale';
import { type CellGeometry, cellsSvg, legendHeight, legendSvg, legendWidth, probabilityMarks } from './heat_map_svg';
import { element } from './markup';
import { poolLargest, stepOf } from './pooling';
import { headHeight, margin, pictureWidth, svgDocument, svgText, textWidth } from './svg_document';
import { groupLabels } from './token';

/** Cells of a side at most: longer texts get cells of several tokens, which show the largest of them. */
export const mostCells = 96;

const mapWidth = 720;
const cellSizes = { least: 8, most: 22 };
const labelGap = 6;

/** How a part is laid out: what its labels and cells need, whatever layer and head are shown. */
export interface AttentionLayout {
  readonly rowStep: number;
  readonly columnStep: number;
  readonly rowLabels: readonly string[];
  readonly columnLabels: readonly string[];
  readonly cell: CellGeometry;
  readonly width: number;
  readonly height: number;
  readonly lines: readonly string[];
}

/** @param most cells of a side */
export function attentionLayout(part: AttentionPart, most = mostCells): AttentionLayout {
  const { queries, keys, layers, heads } = part;
  const [rowStep, columnStep] = [stepOf(queries.length, most), stepOf(keys.length, most)];
  const [rowLabels, columnLabels] = [groupLabels(queries, rowStep), groupLabels(keys, columnStep)];
  const lines = [
    `${layers} layers of ${[...new Set(heads)].join(' or ')} heads. Rows: tokens that attend; columns: tokens that they attend to.`,
    ...(rowStep * columnStep > 1
      ? [`A cell stands for ${rowStep} x ${columnStep} tokens and shows the largest probability among them.`]
      : []),
  ];
  const size = Math.floor(mapWidth / Math.max(rowLabels.length, columnLabels.length));
  const side = Math.min(cellSizes.most, Math.max(cellSizes.least, size));
  const longest = (labels: readonly string[]) => Math.max(...labels.map(textWidth), 0);
  const x = margin + longest(rowLabels) + labelGap;
  const y = headHeight(lines.length + 1) + longest(columnLabels) + labelGap;
  return {
    rowStep,
    columnStep,
    rowLabels,
    columnLabels,
    cell: { x, y, width: side, height: side },
    width: pictureWidth(partTitles[part.name], lines, x + Math.max(columnLabels.length * side, legendWidth) + margin),
    height: y + rowLabels.length * side + margin + legendHeight + margin,
    lines,
  };
}

/** The chosen layer and head as a heat map between tokens. */
export function attentionSvg(data: AttentionData): string {
  return partSvg(chosenPart(data), data.choice);
}

/** @param id of the picture; its cells are in a group `ID-cells`, and the line that names layer and head is `ID-choice` */
export function partSvg(part: AttentionPart, choice: AttentionChoice, id = 'attention', most = mostCells): string {
  const layout = attentionLayout(part, most);
  const { rowLabels, columnLabels, cell, lines } = layout;
  const pooled = poolLargest(headMap(part, choice), most, most);
  const bottom = cell.y + rowLabels.length * cell.height + margin;
  const baseline = cell.height / 2 + 4;
  return svgDocument({ title: partTitles[part.name], lines, width: layout.width, height: layout.height, id }, [
    svgText(margin, headHeight(lines.length), describeChoice(choice), { id: `${id}-choice` }),
    ...columnLabels.map((label, column) => {
      const [x, y] = [cell.x + column * cell.width + baseline, cell.y - labelGap];
      return svgText(x, y, label, { transform: `rotate(-90 ${x} ${y})` });
    }),
    ...rowLabels.map((label, row) =>
      svgText(cell.x - labelGap, cell.y + row * cell.height + baseline, label, { 'text-anchor': 'end' }),
    ),
    element('g', { id: `${id}-cells`, 'shape-rendering': 'crispEdges' }, cellsSvg(pooled, probabilityShare, cell)),
    ...legendSvg(cell.x, bottom, 'probability (colours follow its square root)', probabilityMarks),
  ]);
}
