import { type AlignedText, applyChanges, type CharacterChanges } from './aligned_text';
import { isAscii } from './unicode';

/**
 * The four Unicode normalization forms with alignment. JavaScript normalizes strings but does not say what became of which
 * character, so the algorithm (Unicode Standard Annex 15) is run here; its data come from `String.prototype.normalize` itself.
 */
export type NormalizationForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD';

/** A character of every canonical combining class that occurs, in the order of the classes (1, 6, 7 ... 240). */
const CLASS_SAMPLES =
  '\u0334\u{16ff0}\u093c\u3099\u094d\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6\u05b7\u05b8\u05b9\u05bb\u05bc\u05bd\u05bf\u05c1\u05c2' +
  '\ufb1e\u064b\u064c\u064d\u064e\u064f\u0650\u0651\u0652\u0670\u0711\u0c55\u0c56\u0e38\u0e48\u0eb8\u0ec8\u0f71\u0f72\u0f74\u0327' +
  '\u1dce\u031b\u302a\u0316\u302d\u302e\u{1d16d}\u302b\u0301\u0315\u035c\u035d\u0345';

const samples = Array.from(CLASS_SAMPLES);
const isMark = /^\p{M}$/u;
const classes = new Map<string, number>();

/** Whether canonical ordering moves `b` in front of `a`: both are combining and class(a) > class(b). */
function isReordered(a: string, b: string): boolean {
  const ordered = (a + b).normalize('NFD');
  return ordered !== a.normalize('NFD') + b.normalize('NFD');
}

/**
 * Rank of the canonical combining class: 0 for starters, else ordered as the classes are. JavaScript has no table of the classes,
 * but canonical ordering gives them away: it swaps two marks exactly if the first one's class is larger.
 */
function combiningRank(character: string): number {
  if (character.charCodeAt(0) < 0x300) return 0;
  const known = classes.get(character);
  if (known !== undefined) return known;
  let rank = 0;
  if (isMark.test(character)) {
    let below = 0;
    let above = 0;
    for (const sample of samples) {
      if (isReordered(character, sample)) below++;
      else if (isReordered(sample, character)) above++;
    }
    // A starter is never swapped with anything; a combining mark is swapped with all samples but those of its own class.
    if (below + above > 0) rank = 1 + 2 * below + (below + above === samples.length ? 1 : 0);
  }
  classes.set(character, rank);
  return rank;
}

function decompose(text: string, form: 'NFD' | 'NFKD'): CharacterChanges {
  const characters: string[] = [];
  const changes: number[] = [];
  const ranks: number[] = [];
  let pending = 0;
  const sortPending = (): void => {
    if (characters.length - pending > 1) {
      const order = Array.from({ length: characters.length - pending }, (_, i) => pending + i);
      order.sort((a, b) => (ranks[a] as number) - (ranks[b] as number));
      const sortedCharacters = order.map((i) => characters[i] as string);
      const sortedChanges = order.map((i) => changes[i] as number);
      for (let i = 0; i < order.length; i++) {
        characters[pending + i] = sortedCharacters[i] as string;
        changes[pending + i] = sortedChanges[i] as number;
      }
    }
    pending = characters.length;
  };
  for (const character of text) {
    let change = 0;
    for (const part of character < '\u0080' ? character : character.normalize(form)) {
      const rank = combiningRank(part);
      if (rank === 0) sortPending();
      characters.push(part);
      changes.push(change);
      ranks.push(rank);
      if (rank === 0) pending = characters.length;
      change = 1;
    }
  }
  sortPending();
  return { characters, changes };
}

function composePair(first: string, second: string): string | null {
  const both = (first + second).normalize('NFC');
  const length = (both.codePointAt(0) as number) > 0xffff ? 2 : 1;
  return both.length === length ? both : null;
}

function compose(decomposed: CharacterChanges): CharacterChanges {
  const characters: string[] = [];
  const changes: number[] = [];
  let starter = -1;
  let lastRank = 0;
  for (let i = 0; i < decomposed.characters.length; i++) {
    const character = decomposed.characters[i] as string;
    const change = decomposed.changes[i] as number;
    const rank = combiningRank(character);
    const isAdjacent = starter === characters.length - 1;
    if (starter >= 0 && (isAdjacent || (rank !== 0 && lastRank < rank))) {
      const composite = composePair(characters[starter] as string, character);
      if (composite !== null) {
        characters[starter] = composite;
        changes[starter] = (changes[starter] as number) + change - 1;
        continue;
      }
    }
    if (rank === 0) starter = characters.length;
    lastRank = rank;
    characters.push(character);
    changes.push(change);
  }
  return { characters, changes };
}

export function normalizeUnicode(source: AlignedText, form: NormalizationForm): AlignedText {
  const { text } = source;
  if (isAscii(text) || text.normalize(form) === text) return source;
  const decomposed = decompose(text, form === 'NFC' || form === 'NFD' ? 'NFD' : 'NFKD');
  return applyChanges(source, form === 'NFC' || form === 'NFKC' ? compose(decomposed) : decomposed);
}
