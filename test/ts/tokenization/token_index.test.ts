import { JsonPart } from '../../../ts/tokenization/json_part';
import { TokenIndex } from '../../../ts/tokenization/token_index';
import { Vocabulary } from '../../../ts/tokenization/vocabulary';

const read = (tokens: object) => Vocabulary.read(new JsonPart(tokens, 'vocab'));

it('finds both sides of a merge and what they make, and nothing else', () => {
  // Every text of up to three of these characters, in which many begin and end alike.
  const characters = ['a', 'b', 'Ġ', '😀'];
  const texts = characters.flatMap((a) => [
    a,
    ...characters.flatMap((b) => [a + b, ...characters.map((c) => a + b + c)]),
  ]);
  const tokens = texts.filter((_, place) => place % 3 !== 1);
  const index = new TokenIndex(read(Object.fromEntries(tokens.map((token, id) => [token, id]))));
  const out = new Int32Array(3);
  for (const left of texts) {
    for (const right of texts) {
      index.merge(`${left} ${right}`, left.length, out);
      expect([...out]).toEqual([left, right, left + right].map((token) => tokens.indexOf(token)));
    }
  }
});

it('a copy of a vocabulary changes by itself', () => {
  const first = read(
    new Map([
      ['a', 0],
      ['b', 1],
    ]),
  );
  const copy = first.copy();
  copy.add('b', 1);
  copy.add('c', 2);
  copy.rename(0, 'A');
  first.add('d', 2);
  expect([first.token(0), first.token(2), first.id('c'), first.size]).toEqual(['a', 'd', undefined, 3]);
  expect([copy.token(0), copy.token(2), copy.id('a'), copy.id('d'), copy.size]).toEqual(['A', 'c', 0, undefined, 3]);
});
