import { htmlPage, htmlTable } from './html_page';
import { element, escapeText, printable } from './markup';
import { describeCounts, textPieces } from './text_pieces';
import { tokenColor } from './token_colors';
import type { TokensData } from './tokens_data';

const style = '.text { white-space: pre-wrap; } .text span { color: #000; border-radius: 3px; }';

/** The text with a background for each token, whose id and offsets are shown where one points, and a table of all. */
export function tokensHtml(data: TokensData): string {
  const text = textPieces(data).map(({ text: part, token }) => {
    const found = token === undefined ? undefined : data.tokens[token];
    if (token === undefined || !found) return visibleLines(part);
    const title = `${token}: id ${found.id}, '${found.piece}', ${found.start} to ${found.end}`;
    return element('span', { title, style: `background:${tokenColor(token)}` }, visibleLines(part));
  });
  const rows = data.tokens.map(({ id, start, end, piece, text: part, special }, index) =>
    [index, id, start, end, piece, part, special ? 'special' : ''].map(String),
  );
  return htmlPage({ title: 'Tokens', notes: [describeCounts(data)], style }, [
    element('p', { class: 'mono text' }, text),
    htmlTable(['token', 'id', 'start', 'end', 'piece', 'text', ''], rows, [0, 1, 2, 3]),
  ]);
}

/** Line breaks break lines, after a sign that shows where they are; tabs are kept. */
function visibleLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.split('\t').map(printable).map(escapeText).join('\t'))
    .join('\u23ce\n');
}
