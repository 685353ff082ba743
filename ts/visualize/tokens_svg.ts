import { element } from './markup';
import { headHeight, margin, svgDocument, svgRect, svgText, textWidth } from './svg_document';
import { describeCounts } from './text_pieces';
import { tokenLabel } from './token';
import { tokenColor } from './token_colors';
import type { TokensData } from './tokens_data';

const lineWidth = 800;
const boxHeight = 34;
const gap = 4;
const padding = 5;
/** More than these are not drawn one by one: the picture says how many are left out. */
const mostTokens = 2000;

/** Tokens as boxes in the order of the text, wrapped like it: the label above, the id below. */
export function tokensSvg(data: TokensData): string {
  const lines = [describeCounts(data)];
  const drawn = data.tokens.slice(0, mostTokens);
  if (drawn.length < data.tokens.length) lines.push(`The first ${mostTokens} are shown.`);
  let [x, y] = [margin, headHeight(lines.length)];
  const boxes = drawn.map((token, index) => {
    const label = tokenLabel(token);
    const width = Math.max(textWidth(label), textWidth(String(token.id))) + 2 * padding;
    if (x + width > margin + lineWidth && x > margin) [x, y] = [margin, y + boxHeight + gap];
    const box = element('g', {}, [
      svgRect(x, y, width, boxHeight, {
        rx: 4,
        fill: tokenColor(index),
        ...(token.special ? { stroke: '#59636e', 'stroke-dasharray': '3 2' } : {}),
      }),
      svgText(x + padding, y + 14, label, { fill: '#000', class: 'token' }),
      svgText(x + padding, y + 28, String(token.id), { fill: '#444', class: 'id' }),
    ]);
    x += width + gap;
    return box;
  });
  const size = { width: lineWidth + 2 * margin, height: y + boxHeight + margin };
  return svgDocument({ title: 'Tokens', lines, ...size }, boxes);
}
