import { render } from './template_variables';

// Expected texts are those of Jinja2 3.1.6 in the environment of transformers 5.5.4.
describe('statements', () => {
  it.each([
    ['{% for a, b in d.items() %}{{ a }}={{ b }};{% endfor %}', "a=1;b=[1, 2, {'c': 'x'}];items=own;"],
    ['{% for a, (b, c) in pairs %}{{ a }}{{ b }}{{ c }} {% endfor %}', '1xy 2zw '],
    ['{% for (a, b) in pairs %}{{ a }}{{ b }} {% endfor %}', "1['x', 'y'] 2['z', 'w'] "],
    ['{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% else %}none{% endfor %}', '1/2:3 2/2:2 '],
    ['{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}', 'none'],
    ['{% for x in [] %}{% else %}e{% endfor %}{% for x in missing %}{% else %}m{% endfor %}', 'em'],
    [
      "{% for x in l %}{{ loop.first }}{{ loop.last }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }};{% endfor %}",
      'TrueFalse03211aTrue;FalseFalse121321bTrue;FalseTrue21011aTrue;',
    ],
    [
      '{% for n in tree recursive %}{{ n.v }}{{ loop.depth }}{% if n.c %}[{{ loop(n.c) }}]{% endif %}{% endfor %}',
      '11[2232[43]]',
    ],
    ['{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }},{% endfor %}{{ x }}', '4,2,3,1'],
    ['{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}', '7'],
    ['{% if true %}{% set y = 2 %}{% endif %}{{ y }}', '2'],
    ['{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d2) = (3, 4) %}{{ c }}{{ d2 }}', '1234'],
    ['{% set a, (b, c) = 1, (2, 3) %}{{ a }}{{ b }}{{ c }}', '123'],
    ['{% set x %}  block {{ s }} {% endset %}[{{ x }}]', '[  block Hello World foo ]'],
    ['{% set x | upper | trim %}  block {{ s }} {% endset %}[{{ x }}]', '[BLOCK HELLO WORLD FOO]'],
    ['{% with a = 1, b = s %}{{ a }}{{ b }}{% set c = 3 %}{{ c }}{% endwith %}{{ a }}{{ c }}', '1Hello World foo3'],
    ['{% with %}{% set c = 3 %}{{ c }}{% endwith %}{{ c }}', '3'],
    ['{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}', '155'],
    ['{% for x in l %}{% with y = x %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endwith %}{% endfor %}', '3'],
    ['{% raw %}{{ x }} {% if %} {# c #}{% endraw %}!', '{{ x }} {% if %} {# c #}!'],
    ['a  {%- raw -%}  {{ x }}  {%- endraw -%}  b', 'a{{ x }}b'],
    ['x\n  {% raw %}\n  y\n  {% endraw %}\nz', 'x\n\n  y\nz'],
    ['{% raw %}\n{{ a }}\n{% endraw %}\nb', '\n{{ a }}\nb'],
    [
      "{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(c=5, a=0) }}{{ m() }}",
      '[12x][13x][025][2x]',
    ],
    ['{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}', "1(2, 3){'x': 4}"],
    [
      '{% macro m(a) %}<{{ caller(a) }}>{% endmacro %}{% call(x) m(7) %}{{ x }}!{{ s }}{% endcall %}',
      '<7!Hello World foo>',
    ],
    ['{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}hi{% endcall %}', '<hi>'],
    ['{% macro r(n) %}{{ n.v }}{% for c in n.c %}({{ r(c) }}){% endfor %}{% endmacro %}{{ r(tree[0]) }}', '1(2)(3(4))'],
    ['{% macro m() %}{{ x }}{% endmacro %}{% set x = 3 %}{{ m() }}', '3'],
    ['{% set x = 3 %}{% macro m() %}{{ x }}{% endmacro %}{% for x in l %}{{ m() }}{% endfor %}', '333'],
    ['{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(4) }}{{ m.name }}', '4m'],
    [
      "{% filter upper %}a{{ s }}{% endfilter %}{% filter replace('a', 'b') | upper %}aaa{% endfilter %}",
      'AHELLO WORLD FOOBBB',
    ],
    ['{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}', '32'],
    [
      '{% for x in l %}a{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ y }}{% endfor %}b{% endfor %}',
      'a3ba3ba3b',
    ],
    ['{% if l %}{% if missing %}a{% elif d.a == 1 %}b{% else %}c{% endif %}{% endif %}', 'b'],
    ['{# comment #}a{#- strip -#} b {#+ c +#}\n  {# own line #}\nx', 'ab \nx'],
    ['  {% if true %}\n  a\n  {% endif %}\n b\n', '  a\n b'],
    ['a\n   {%- if true -%}  \n b \n {%- endif +%}\n c', 'ab\n c'],
    ['  {%+ if true %}x{% endif %}\n\n\n', '  x\n'],
    ["{{ '\n' }}x\n\n", '\nx\n'],
    ['a {{- s -}} b {{ s }} c\r\nd\re\n', 'aHello World foob Hello World foo c\nd\ne'],
    ['{% for x in l -%}\n  {{ x }}\n{%- endfor %}\n.', '312.'],
    ['{% generation %}x{{ s }}{% endgeneration %}\n{%- generation -%} y {%- endgeneration -%} z', 'xHello World fooyz'],
    [
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}",
      '  Hello 👍  ',
    ],
    ['{% generation %}{% set q = 1 %}{{ q }}{% endgeneration %}{{ q }}', '1'],
    ["{% set x = 'a' if n else 'b' %}{{ x }}{% set y = 'a' if n %}[{{ y }}]", 'b[]'],
    [
      "{% set loop_messages = messages[1:] %}{% for message in loop_messages %}{{ loop.index0 % 2 == 0 }}{{ message['role'] }}{% endfor %}",
      'TrueuserFalseassistantTruetoolFalseuser',
    ],
    ['{% print s, 1 %}', 'Hello World foo1'],
    ["{% set t2 = {'a': 1, 'b': {'c': [1, 2]}} %}{{ t2['b']['c'][1] }}{{ t2.b.c | join }}", '212'],
    [
      "{%- for m in messages if m.role == 'user' -%}{{ loop.index }}{{ m.content if m.content is string else m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join }}{%- endfor -%}",
      '1Hi, it\'s "me"\n2part',
    ],
    ["{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", '3, 1, 2'],
    ["{% set c = cycler('a', 'b') %}{% for x in l %}{{ c.next() }}{{ c.current }}{% endfor %}", 'abbaab'],
    ["{{ l | map('string') | map('upper') | join(',') }}{% for k in d %}{{ k }}{% endfor %}", '3,1,2abitems'],
    [
      '{% for k, v in tools[0].function.parameters.properties | dictsort %}{{ k }}:{{ v.type | tojson }};{% endfor %}',
      'city:"string";n:["integer", "null"];',
    ],
    [
      '{% if tools is defined and tools is not none and tools | length > 0 %}T{% endif %}{% if missing is not defined or missing is none %}M{% endif %}',
      'TM',
    ],
    [
      '{% for x in l %}{% set loop2 = loop %}{% for y in [1,2] %}{{ loop2.index }}{{ loop.index }} {% endfor %}{% endfor %}',
      '11 12 21 22 31 32 ',
    ],
    ['{% set found = namespace() %}{% set found.x = 1 %}{{ found.x }}{{ found.y is defined }}', '1False'],
    [
      '{% for x in l %}{{ loop.nextitem is defined }}{{ loop.previtem is defined }}{% endfor %}',
      'TrueFalseTrueTrueFalseTrue',
    ],
    [
      '{% set m = messages[2] %}{% for tc in m.tool_calls %}{% set f = tc.function %}{"name": "{{ f.name }}", "arguments": {{ f.arguments | tojson }}}{% endfor %}',
      '{"name": "get", "arguments": {"city": "Zürich", "n": 2, "x": 1.5, "ok": true, "none": null}}',
    ],
    ["{% for x in 'abc' %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", 'a, b, c'],
    ['{% for x in range(3) %}{% for y in range(x) %}{{ x }}{{ y }} {% endfor %}{% endfor %}', '10 20 21 '],
    [
      "{% if 'a' in d and d['a'] is defined %}1{% endif %}{{ '<|im_start|>' + messages[1]['role'] + '\\n' + messages[1]['content'] | trim + '<|im_end|>' }}",
      '1<|im_start|>user\nHi, it\'s "me"<|im_end|>',
    ],
    ['{% set _ = 1 %}{{ _ }}{% set é = 2 %}{{ é }}', '12'],
    ['{{ s }}{{ s }}\n{{ s }}\n', 'Hello World fooHello World foo\nHello World foo'],
    ['\n\n{% if true %}\n\n x{% endif %}\n\n', '\n\n\n x'],
    ['{%if true%}a{%endif%}{{s}}{%-if true-%} b {%-endif-%}', 'aHello World foob'],
    ['{% set x = [1, 2] %}{% set x = x + [3] %}{{ x }}', '[1, 2, 3]'],
    ['{% set a = {} %}{% for m in messages %}{% set a = dict(a, **{m.role: 1}) %}{% endfor %}{{ a }}', '{}'],
    ["{% set f = d.get %}{{ f('a') }}{% set j = ', '.join %}{{ j(words) }}", '1b, A, c, a'],
    ['{% for x in l %}{{ x }}{% else %}{{ x }}{% endfor %}{{ x }}', '312'],
    ['{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}', 'B'],
    ['{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}', '312'],
    [
      '{% set ns = namespace(l=[]) %}{% for x in l %}{% set ns.l = ns.l + [x * 2] %}{% endfor %}{{ ns.l }}',
      '[6, 2, 4]',
    ],
    ['{% set s2 %}{% for x in l %}{{ x }}{% endfor %}{% endset %}{{ s2 | length }}{{ s2 is string }}', '3True'],
    ['{{ caller }}{{ varargs is defined }}', 'False'],
  ])('%j', (template, text) => {
    expect(render(template)).toBe(text);
  });
});

describe('what is wrong is told', () => {
  it.each([
    ['{{ missing.x }}', "'missing' is undefined"],
    ['{{ d.zz.x }}', "'dict object' has no attribute 'zz'"],
    ['{{ n.x.y }}', "'None' has no attribute 'x'"],
    ['{{ missing() }}', "'missing' is undefined"],
    ['{{ missing + 1 }}', "'missing' is undefined"],
    ["{{ 'a' + 1 }}", 'can only concatenate str (not "int") to str'],
    ['{{ none + 1 }}', "unsupported operand type(s) for +: 'NoneType' and 'int'"],
    ["{{ 'a' < 1 }}", "'<' not supported between instances of 'str' and 'int'"],
    ['{{ 1 in 3 }}', "argument of type 'int' is not iterable"],
    ['{{ 1 / 0 }}', 'division by zero'],
    ['{% for x in 5 %}{% endfor %}', "'int' object is not iterable"],
    ['{% for a, b, c in pairs %}{% endfor %}', 'not enough values to unpack (expected 3, got 2)'],
    ['{% set a, b = l %}', 'too many values to unpack (expected 2)'],
    ['{{ missing | tojson }}', 'Object of type Undefined is not JSON serializable'],
    ['{{ l | nosuch }}', "No filter named 'nosuch'"],
    ['{{ l is nosuch }}', "No test named 'nosuch'"],
    ["{{ l | join(x='a') }}", "unexpected keyword argument 'x'"],
    ["{{ '{} {1}'.format(1, 2) }}", 'cannot switch'],
    ['{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}', "macro 'm' takes not more than 1 argument(s)"],
    ['{% macro m(a) %}{% endmacro %}{{ m(b=2) }}', "macro 'm' takes no keyword argument 'b'"],
    ['{% set d.x = 1 %}', 'cannot assign attribute on non-namespace object'],
    ['{% for x in l %}', "expected 'endfor' or 'else', got the end of the template"],
    ['a\nb {% unknown %}', "unknown tag 'unknown'"],
    ['{% endif %}', "unknown tag 'endif'"],
    ['{% break %}', "'break' outside of a loop"],
    ['\n{{ x y }}', "expected '}}', got 'y' (line 2)"],
    ['{{ (1 }}', "unexpected '}' (line 1)"],
    ["{{ 'abc }}", 'unexpected char'],
    ['{{ x', 'unexpected end of template (line 1)'],
    ['{% raw %}', 'Missing end of raw directive'],
    ['{# x', 'Missing end of comment tag'],
    ['{% macro m(a=1, b) %}{% endmacro %}', 'non-default argument follows default argument'],
  ])('%j', (template, message) => {
    expect(() => render(template)).toThrow(message);
  });
});

describe('a template', () => {
  it.each([
    ['{{ l.append(4) }}', "attribute 'append' of 'list' object is unsafe"],
    ["{{ d.update({'x': 1}) }}", "attribute 'update' of 'dict' object is unsafe"],
    ['{{ range(100001) }}', '100000'],
    ["{{ 'ab' * 1000000 }}", 'too long'],
    ['{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', 'more than 200 calls'],
    ['{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}', 'more than 200 calls'],
  ])('may not %s', (template, message) => {
    expect(() => render(template)).toThrow(message);
  });

  it('sees nothing of JavaScript', () => {
    const names = ['constructor', '__proto__', 'toString', 'hasOwnProperty', '__class__'];
    for (const name of names) {
      expect(render(`{{ ${name} is defined }}{{ d.${name} is defined }}{{ l['${name}'] is defined }}`)).toBe(
        'FalseFalseFalse',
      );
      expect(render(`{{ s.${name} is defined }}{{ '${name}' in d }}`)).toBe('FalseFalse');
      expect(() => render(`{{ s | ${name} }}`)).toThrow('No filter');
      expect(() => render(`{{ s is ${name} }}`)).toThrow('No test');
    }
  });

  it('calls functions that it is given, with values as JavaScript has them', () => {
    const given: unknown[][] = [];
    const own = (...values: unknown[]) => {
      given.push(values);
      return { sum: 1.5, list: [1, undefined] };
    };
    expect(render("{{ own(1, 2.5, 'x', [none], {'a': true}, (1, 2)) }}", { own })).toBe(
      "{'sum': 1.5, 'list': [1, Undefined]}",
    );
    expect(given).toEqual([[1, 2.5, 'x', [null], { a: true }, [1, 2]]]);
  });

  it('takes time in proportion to the text', () => {
    const spaces = ' '.repeat(200_000);
    const text = `a${spaces}b`;
    expect(render('{{ x.strip() | length }}{{ x.split() | length }}{{ x | trim | length }}', { x: text })).toBe(
      `${text.length}2${text.length}`,
    );
    expect(render(`{{ 1 }}${spaces}x${spaces}{{- 2 }}`)).toBe(`1${spaces}x2`);
  });
});
