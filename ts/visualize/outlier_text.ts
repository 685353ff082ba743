import { numberText, percentText } from './number_text';
import type { LayerOutliers, OutliersData } from './outliers_data';

/** What all pictures say of a layer. */
export function describeLayer({ features, outliers, share, largest }: LayerOutliers): string {
  return `${outliers.length} of ${features}, ${percentText(share)} of entries, largest ${numberText(largest)}`;
}

export function describeText({ tokens, threshold }: OutliersData): string {
  return `${tokens} tokens; an outlier is an input of magnitude ${numberText(threshold)} or more.`;
}

/** The features that are outliers most often, so many at most, with how often and how large: `12 (30, 41.5), 7 (2, 6.1)`. */
export function mostOften({ outliers }: LayerOutliers, most: number): string {
  const sorted = [...outliers].sort((a, b) => b.count - a.count || b.largest - a.largest);
  const named = sorted
    .slice(0, most)
    .map(({ feature, count, largest }) => `${feature} (${count}, ${numberText(largest)})`);
  return [...named, ...(sorted.length > most ? ['\u2026'] : [])].join(', ');
}
