/**
 * Backgrounds that tell neighbouring tokens apart, light enough for black text: they differ in lightness too, for readers who see no hues.
 */
export const tokenColors = ['#bfe0ff', '#ffe08a', '#c9f0c4', '#f3c6e8'] as const;

export function tokenColor(index: number): string {
  return tokenColors[index % tokenColors.length] ?? tokenColors[0];
}
