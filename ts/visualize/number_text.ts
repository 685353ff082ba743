/** A number with up to four significant digits, small and large ones with an exponent: `0.03125`, `-1.2e-7`, `NaN`. */
export function numberText(value: number): string {
  const magnitude = Math.abs(value);
  if (!Number.isFinite(value) || value === 0) return String(value);
  if (magnitude >= 1e-4 && magnitude < 1e6) return String(Number(value.toPrecision(4)));
  return value.toExponential(3).replace(/\.?0*e/, 'e');
}

/** `[576, 1536]` as `576 x 1536`. */
export function shapeText(shape: readonly number[]): string {
  return shape.join(' x ');
}

/** A share as `1.23 %`; what is there but less than a hundredth of a percent as `< 0.01 %`. */
export function percentText(share: number): string {
  const percent = 100 * share;
  return percent > 0 && percent < 0.01 ? '< 0.01 %' : `${percent.toFixed(2)} %`;
}
