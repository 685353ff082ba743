/** Colours from dark blue to light yellow: lightness rises evenly, and the hues differ for every kind of colour vision. */

export interface Color {
  /** 0 to 255 each. */
  readonly red: number;
  readonly green: number;
  readonly blue: number;
}

/** Colours that are told apart: finer steps can't be seen, and equal neighbours are drawn as one. */
export const colorSteps = 64;

// Ends of the scale in Oklab: lightness (0 black, 1 white), green to red, blue to yellow. In between all three change evenly, which looks even
// (Björn Ottosson 2020, "A perceptual color space for image processing").
const dark = { lightness: 0.2, greenRed: 0, blueYellow: -0.09 } as const;
const light = { lightness: 0.95, greenRed: -0.04, blueYellow: 0.13 } as const;

const scale: readonly Color[] = Array.from({ length: colorSteps }, (_, step) => {
  const place = step / (colorSteps - 1);
  const between = (key: keyof typeof dark) => dark[key] + place * (light[key] - dark[key]);
  return fromOklab(between('lightness'), between('greenRed'), between('blueYellow'));
});

/** How a number becomes a share of the scale of colours, 0 to 1. */
export type ShareOf = (value: number) => number;

/** Probabilities: their square root, so that small ones can be told apart, too. */
export const probabilityShare: ShareOf = (probability) => Math.sqrt(Math.max(0, probability));

/** Which of the `colorSteps` colours stands for a share; 0 to 1, what is beyond (or no number) counts as the nearer end (or 0). */
export function colorStep(share: number): number {
  const bounded = share > 0 ? Math.min(share, 1) : 0;
  return Math.round(bounded * (colorSteps - 1));
}

export function colorOf(step: number): Color {
  return scale[step] ?? { red: 0, green: 0, blue: 0 };
}

/** `#0a1b2c`. */
export function hexColor(step: number): string {
  const { red, green, blue } = colorOf(step);
  return `#${[red, green, blue].map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}

/** Levels of red, green and blue in the cube of 216 colours that terminals with 256 colours have (numbers 16 to 231). */
const cubeLevels: readonly number[] = [0, 95, 135, 175, 215, 255];

/** The nearest of these colours. */
export function terminalColor(step: number): number {
  const { red, green, blue } = colorOf(step);
  const level = (value: number) => {
    const distances = cubeLevels.map((candidate) => Math.abs(candidate - value));
    return distances.indexOf(Math.min(...distances));
  };
  return 16 + 36 * level(red) + 6 * level(green) + level(blue);
}

/** Whether black text reads better on the colour than white text: both have a contrast of 4.6 and more where they are taken. */
export function isLight(step: number): boolean {
  return step / (colorSteps - 1) > 0.48;
}

/** Oklab to sRGB, with the matrices of the same source. */
function fromOklab(lightness: number, greenRed: number, blueYellow: number): Color {
  const long = (lightness + 0.3963377774 * greenRed + 0.2158037573 * blueYellow) ** 3;
  const medium = (lightness - 0.1055613458 * greenRed - 0.0638541728 * blueYellow) ** 3;
  const short = (lightness - 0.0894841775 * greenRed - 1.291485548 * blueYellow) ** 3;
  return {
    red: toByte(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
    green: toByte(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
    blue: toByte(-0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short),
  };
}

/** A linear intensity as sRGB writes it (IEC 61966-2-1). */
function toByte(linear: number): number {
  const bounded = Math.min(1, Math.max(0, linear));
  const encoded = bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055;
  return Math.round(255 * encoded);
}
