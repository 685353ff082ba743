import { formatPythonJson, parsePythonJson, pythonFloat } from '../../../ts/models/python_json';

it('spells every number as it was', () => {
  const text = `{
  "float": 7.0,
  "integer": 7,
  "small": 1e-05,
  "power": 1E+3,
  "negative": -0.0,
  "none": [
    NaN,
    -Infinity,
    Infinity
  ],
  "text": "7.0, NaN and \\"1e-05\\"",
  "nothing": null
}
`;
  expect(formatPythonJson(parsePythonJson(text))).toBe(text);
});

it('gives values that JavaScript spells alike as they are', () => {
  expect(parsePythonJson('{"a": 1.5, "b": [2, "x"], "c": true}')).toEqual({ a: 1.5, b: [2, 'x'], c: true });
});

it('writes a number that Python reads as a float', () => {
  expect(formatPythonJson({ a: pythonFloat(6), b: pythonFloat(2.5), c: 6 })).toBe(
    '{\n  "a": 6.0,\n  "b": 2.5,\n  "c": 6\n}\n',
  );
});

it('refuses what is no JSON', () => {
  expect(() => parsePythonJson('{"a": 7.0.1}')).toThrow(SyntaxError);
});
