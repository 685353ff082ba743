import { element, escapeText } from './markup';
import { cells } from './text_width';

/** Sizes in pixels of a picture that nobody has scaled. */
const fontSize = 11;
const titleSize = 14;
/** Of a character in the fonts that `fonts` names: a little more than the widest of them has. */
export const characterWidth = 6.7;
export const margin = 16;

const fonts = 'ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace';

// Renderers that know no media queries show the light colours; some know no `font` in one.
const style =
  '.page{fill:#fff}.ink{fill:#1b1f24}.faint{fill:#59636e}' +
  `text{font-family:${fonts};font-size:${fontSize}px}.title{font-size:${titleSize}px;font-weight:bold}` +
  '@media(prefers-color-scheme:dark){.page{fill:#14171c}.ink{fill:#e6e9ed}.faint{fill:#9aa4b0}}';

/** A picture with a title and lines below it; `content` begins below `headHeight`. */
export function svgDocument(
  picture: {
    readonly title: string;
    readonly lines: readonly string[];
    readonly width: number;
    readonly height: number;
    readonly id?: string;
  },
  content: readonly string[],
): string {
  const { title, lines, id } = picture;
  const width = pictureWidth(title, lines, picture.width);
  const height = Math.ceil(picture.height);
  return element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', id, width, height, viewBox: `0 0 ${width} ${height}`, role: 'img' },
    [
      element('title', {}, escapeText(title)),
      element('desc', {}, escapeText(lines.join(' '))),
      element('style', {}, style),
      element('rect', { class: 'page', width: '100%', height: '100%' }),
      svgText(margin, margin + 10, title, { class: 'ink title' }),
      ...lines.map((line, index) => svgText(margin, margin + 28 + index * 15, line, { class: 'faint' })),
      ...content,
    ],
  );
}

/** The width that content asks for, or more where title and lines need it. */
export function pictureWidth(title: string, lines: readonly string[], content: number): number {
  const texts = [(textWidth(title) * titleSize) / fontSize, ...lines.map(textWidth)];
  return Math.ceil(Math.max(content, ...texts.map((width) => width + 2 * margin)));
}

/** Where content may begin under a title and so many lines. */
export function headHeight(lines: number): number {
  return margin + 28 + lines * 15;
}

export function svgText(
  x: number,
  y: number,
  text: string,
  attributes: Readonly<Record<string, string | number>> = {},
): string {
  return element('text', { x, y, class: 'ink', 'xml:space': 'preserve', ...attributes }, escapeText(text));
}

export function svgRect(
  x: number,
  y: number,
  width: number,
  height: number,
  attributes: Readonly<Record<string, string | number>>,
): string {
  return element('rect', { x, y, width, height, ...attributes });
}

/** How wide a text gets; East Asian signs and emoji count double. */
export function textWidth(text: string): number {
  return characterWidth * cells(text);
}
