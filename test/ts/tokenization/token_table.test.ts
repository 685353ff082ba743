import { JsonPart } from '../../../ts/tokenization/json_part';
import { hashOf, TokenTable } from '../../../ts/tokenization/token_table';
import { Vocabulary } from '../../../ts/tokenization/vocabulary';

const read = (tokens: object) => Vocabulary.read(new JsonPart(tokens, 'vocab'));

// Every text of up to three of these characters, in which many begin and end alike.
const characters = ['a', 'b', 'Ġ', '😀'];
const texts = characters.flatMap((a) => [
  a,
  ...characters.flatMap((b) => [a + b, ...characters.map((c) => a + b + c)]),
]);

it('finds tokens, parts of texts and what two of them make, and nothing else', () => {
  const tokens = texts.filter((_, place) => place % 3 !== 1);
  const table = TokenTable.of(tokens);
  expect([table.size, table.idLimit]).toEqual([tokens.length, tokens.length]);
  for (const left of texts) {
    expect(table.id(left)).toBe(tokens.indexOf(left));
    for (const right of texts) {
      const both = `${left}|${right}`;
      const hash = hashOf(right, 0, right.length, hashOf(left, 0, left.length));
      const second = left.length + 1;
      expect(table.find(hash, both, 0, left.length, both, second, both.length)).toBe(tokens.indexOf(left + right));
    }
  }
  tokens.forEach((token, id) => {
    expect(table.token(id)).toBe(token);
  });
  expect([table.token(-1), table.token(tokens.length), table.token(0.5)]).toEqual([undefined, undefined, undefined]);
});

it('has holes, an empty token, and of equal tokens the last', () => {
  const table = TokenTable.of(['x', undefined, '', 'y', 'x', undefined]);
  expect([0, 1, 2, 3, 4, 5].map((id) => table.token(id))).toEqual(['x', undefined, '', 'y', 'x', undefined]);
  expect(['x', '', 'y', 'z'].map((token) => table.id(token))).toEqual([4, 2, 3, -1]);
  expect([table.size, table.idLimit]).toEqual([3, 6]);
});

it('a vocabulary reads objects and maps, in any order and with holes', () => {
  for (const given of [{ c: 4, a: 0, b: 2 }, new Map(Object.entries({ c: 4, a: 0, b: 2 }))]) {
    const vocabulary = read(given);
    expect([vocabulary.size, vocabulary.idLimit]).toEqual([3, 5]);
    expect([...vocabulary.entries()]).toEqual(Object.entries({ a: 0, b: 2, c: 4 }));
  }
});

it('tokens that are added to a vocabulary leave the one of the same table alone', () => {
  const first = read({ a: 0, b: 1 });
  const second = new Vocabulary(first.table);
  second.add('b', 1);
  second.add('c', 2);
  second.rename(0, 'A');
  first.add('d', 2);
  expect([first.token(0), first.token(2), first.id('c'), first.size]).toEqual(['a', 'd', undefined, 3]);
  expect([second.token(0), second.token(2), second.id('a'), second.id('d'), second.size]).toEqual([
    'A',
    'c',
    0,
    undefined,
    3,
  ]);
  second.add('a', 7);
  expect([second.id('a'), second.token(0), second.token(7), second.idLimit, second.size]).toEqual([7, 'A', 'a', 8, 3]);
  expect(Object.fromEntries(second.entries())).toEqual({ a: 7, b: 1, c: 2 });
});
