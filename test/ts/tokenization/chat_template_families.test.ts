import { render } from './template_variables';

// Templates with what those of these families are made of. Expected texts are those of Jinja2 3.1.6 in the environment of transformers 5.5.4.
it.each<[string, string, string]>([
  [
    'Llama 3.1 and 3.2, with tools',
    String.raw`{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|h|>system<|/h|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\n\n"}}
{%- endif %}
{{- "Today Date: " + date_string[:2] | length | string + "\n\n" }}
{%- if tools is not none and not tools_in_user_message %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message }}
{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("no first user message") }}
    {%- endif %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
    {%- endfor %}
    {{- first_user_message + "<|eot|>"}}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|h|>' + message['role'] + '<|/h|>\n\n'+ (message['content'] | string | trim) + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one tool call only") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' + arg_val | string + '"' }}
            {%- if not loop.last %}{{- ", " }}{%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|h|>assistant<|/h|>\n\n' }}
{%- endif %}
`,
    '<s><|h|>system<|/h|>\n\nEnvironment: ipython\nToday Date: 2\n\nBe brief.{\n    "type": "function",\n    "function": {\n        "name": "get",\n        "description": "Gets <it>",\n        "parameters": {\n            "type": "object",\n            "properties": {\n                "city": {\n                    "type": "string",\n                    "description": "The city"\n                },\n                "n": {\n                    "type": [\n                        "integer",\n                        "null"\n                    ],\n                    "enum": [\n                        1,\n                        2\n                    ]\n                }\n            },\n            "required": [\n                "city"\n            ]\n        }\n    }\n}Hi, it\'s "me"<|eot|>{"name": "get", "parameters": {"city": "Zürich", "n": 2, "x": 1.5, "ok": true, "none": null}}city="Zürich", n="2", x="1.5", ok="True", none="None""{\\"t\\": 3}"<|h|>user<|/h|>\n\n[{\'type\': \'text\', \'text\': \'part\'}, {\'type\': \'image\'}]<|eot|><|h|>assistant<|/h|>\n\n',
  ],
  [
    'Qwen3',
    String.raw`{%- if tools %}
    {{- '<|s|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- "# Tools\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>{\"name\": <name>}<|e|>\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<r>') and message.content.endswith('</r>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|s|>' + message.role + '\n' + content + '<|e|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- content }}
            {%- endif %}
        {%- else %}
            {{- '<|s|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|e|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|s|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|e|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|s|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}`,
    '<|s|>system\nBe brief.\n\n# Tools\n<tools>\n{"type": "function", "function": {"name": "get", "description": "Gets <it>", "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "The city"}, "n": {"type": ["integer", "null"], "enum": [1, 2]}}, "required": ["city"]}}}\n</tools>{"name": <name>}<|e|>\n<|s|>user\nHi, it\'s "me"\n<|e|>\n  Hello 👍  \n<tool_call>\n{"name": "get", "arguments": {"city": "Zürich", "n": 2, "x": 1.5, "ok": true, "none": null}}\n</tool_call><|e|>\n<|s|>user\n<tool_response>\n{"t": 3}\n</tool_response><|e|>\n<|s|>user\n<|e|>\n<|s|>assistant\n',
  ],
  [
    'Gemma 3',
    `{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<turn>' + role + '
' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<img>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '</turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<turn>model
'}}
{%- endif -%}
`,
    '<s><turn>user\nBe brief.\n\nHi, it\'s "me"</turn>\n<turn>model\nHello 👍</turn>\n<turn>tool\n{"t": 3}</turn>\n<turn>user\npart<img></turn>\n<turn>model\n',
  ],
  [
    'SmolLM3',
    `{# defaults #}
{%- if enable_thinking is not defined -%}
{%- set enable_thinking = true -%}
{%- endif -%}
{# mode #}
{%- if enable_thinking -%}
  {%- set reasoning_mode = "/think" -%}
{%- else -%}
  {%- set reasoning_mode = "/no_think" -%}
{%- endif -%}
{{- "<|s|>system
" -}}
{%- if messages[0].role == "system" -%}
  {%- set system_message = messages[0].content -%}
  {%- if "/no_think" in system_message -%}
    {%- set reasoning_mode = "/no_think" -%}
  {%- endif -%}
  {%- set custom_instructions = system_message.replace("/no_think", "").replace("/think", "").rstrip() -%}
{%- endif -%}
{%- if "/system_override" in system_message -%}
  {{- custom_instructions.replace("/system_override", "").rstrip() -}}
{%- else -%}
  {{- "## Metadata

" -}}
  {%- set today = strftime_now("%d %B %Y") -%}
  {{- "Today: " ~ (today | length > 8) ~ "
" -}}
  {{- "Reasoning Mode: " + reasoning_mode + "

" -}}
  {%- if xml_tools or python_tools or tools -%}
    {{- "### Tools
" -}}
    {%- set ns = namespace(xml_tool_string="<tools>
") -%}
    {%- for tool in (xml_tools or tools)[:2] -%}
      {%- set ns.xml_tool_string = ns.xml_tool_string ~ (tool | string) ~ "
" -%}
    {%- endfor -%}
    {{- ns.xml_tool_string + "</tools>" -}}
  {%- endif -%}
{%- endif -%}
{%- for message in messages -%}
  {%- set content = message.content if message.content is string else "" -%}
  {%- if message.role == "user" -%}
    {{ "<|s|>" + message.role + "
" + content + "<|e|>
" }}
  {%- elif message.role == "assistant" -%}
    {% generation %}
    {%- if reasoning_mode == "/think" -%}
      {{ "<|s|>assistant
" + content.lstrip("
") + "<|e|>
" }}
    {%- else -%}
      {{ "<|s|>assistant
" + "<think>

</think>
" + content.lstrip("
") + "<|e|>
" }}
    {%- endif -%}
    {% endgeneration %}
  {%- elif message.role == "tool" -%}
    {{ "<|s|>user
" + content + "<|e|>
" }}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {%- if reasoning_mode == "/think" -%}
    {{ "<|s|>assistant
" }}
  {%- endif -%}
{%- endif -%}
`,
    "<|s|>system\n## Metadata\n\nToday: True\nReasoning Mode: /think\n\n### Tools\n<tools>\n{'type': 'function', 'function': {'name': 'get', 'description': 'Gets <it>', 'parameters': {'type': 'object', 'properties': {'city': {'type': 'string', 'description': 'The city'}, 'n': {'type': ['integer', 'null'], 'enum': [1, 2]}}, 'required': ['city']}}}\n</tools><|s|>user\nHi, it's \"me\"\n<|e|>\n<|s|>assistant\n  Hello 👍  <|e|>\n<|s|>user\n{\"t\": 3}<|e|>\n<|s|>user\n<|e|>\n<|s|>assistant\n",
  ],
  [
    'Command-R',
    `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% elif false == true %}{% set loop_messages = messages %}{% set system_message = 'You are.' %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% if system_message != false %}{{ '<T><S>' + system_message + '</T>' }}{% endif %}
{%- macro json_to_python_type(json_spec) %}
{%- set basic_type_map = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool"
} %}
{%- if basic_type_map[json_spec.type] is defined %}
    {{- basic_type_map[json_spec.type] }}
{%- elif json_spec.type == "array" %}
    {{- "List[" +  json_to_python_type(json_spec.items) + "]"}}
{%- elif json_spec.type == "object" %}
    {{- "Dict[str, Any]" }}
{%- elif json_spec.type is iterable and json_spec.type is not string %}
    {{- "Union[" }}
    {%- for t in json_spec.type %}
      {{- json_to_python_type({"type": t}) }}
      {%- if not loop.last %}
        {{- "," }}
    {%- endif %}
    {%- endfor %}
    {{- "]" }}
{%- else %}
    {{- "Any" }}
{%- endif %}
{%- endmacro %}
{%- macro old_tool_parser(tools) %}
{%- for tool in tools %}
    {%- if loop.index0 != 0 %}
        {{- '

' }}
    {%- endif %}
    {{- '~~~python
def ' + tool.function.name + '(' }}
    {%- for param_name, param_fields in tool.function.parameters.properties|items %}
        {%- if loop.index0 != 0 %}
            {{- ', '}}
        {%- endif %}
        {{- param_name + ': ' }}
        {%- if not param_name in tool.function.parameters.required %}
            {{- 'Optional[' + json_to_python_type(param_fields) + '] = None'}}
        {%- else %}
            {{- json_to_python_type(param_fields) }}
        {%- endif %}
    {%- endfor %}
    {{- ') -> List[Dict]:
    """'}}
    {{- tool.function.description }}
    {%- if tool.function.parameters.properties|length != 0 %}
        {{- '

    Args:
        '}}
        {%- for param_name, param_fields in tool.function.parameters.properties|items %}
            {%- if loop.index0 != 0 %}{{- '
        '}}{%- endif %}
            {{- param_name + ' ('}}
            {%- if param_fields.description is defined %}
                {{- ') : ' + param_fields.description|default('') | trim('.') }}
            {%- else %}
                {{- ')' }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '
    """
    pass
~~~' }}
{%- endfor %}
{%- endmacro %}
{%- if tools %}{{ old_tool_parser(tools) }}{% endif %}
{%- for message in loop_messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<T><U>' + content | string + '</T>' }}{% elif message['role'] == 'assistant' %}{{ '<T><C>' + content.strip() + '</T>' }}{% endif %}{% endfor %}
{%- for document in documents %}
{{ loop.index0 }}:
{% for key, value in document.items() %}
{{ key | title }}: {{ value }}
{% endfor %}
{%- endfor %}`,
    "<s><T><S>Be brief.</T>~~~python\ndef get(city: str, n: Optional[Union[int,Any]] = None) -> List[Dict]:\n    \"\"\"Gets <it>\n\n    Args:\n        city () : The city\n        n ()\n    \"\"\"\n    pass\n~~~<T><U>Hi, it's \"me\"\n</T><T><C>Hello 👍</T><T><U>[{'type': 'text', 'text': 'part'}, {'type': 'image'}]</T>0:\nTitle: A\nText: aaa\n1:\nTitle: B\nText: bbb\n",
  ],
])('%s', (_, template, text) => {
  expect(render(template)).toBe(text);
});
