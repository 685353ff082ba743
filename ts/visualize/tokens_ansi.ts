import { painter, type Style, table, visible } from './terminal_text';
import { describeCounts, textPieces } from './text_pieces';
import type { TokensData } from './tokens_data';

/** Neighbouring tokens get different ones. */
const styles: readonly Style[] = ['cyan', 'yellow', 'green', 'magenta'];

/** The text in colours, then the tokens one a line. */
export function tokensAnsi(data: TokensData): string {
  const paint = painter(true);
  const styleOf = (index: number) => styles[index % styles.length] ?? 'cyan';
  const colored = textPieces(data).map(({ text, token }) =>
    token === undefined ? visible(text) : paint(styleOf(token), visible(text)),
  );
  const rows = tokenRows(data).map(([id = '', start = '', end = '', piece = ''], index) => [
    id,
    start,
    end,
    paint(styleOf(index), piece),
  ]);
  const head = ['id', 'start', 'end', 'token'].map((name) => paint('dim', name));
  return [colored.join(''), table([head, ...rows], [0, 1, 2]), paint('dim', describeCounts(data))].join('\n');
}

/** Of each token: id, start, end, piece. */
export function tokenRows({ tokens }: TokensData): string[][] {
  return tokens.map(({ id, start, end, piece }) => [String(id), String(start), String(end), visible(piece)]);
}
