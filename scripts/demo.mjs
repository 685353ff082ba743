import { createRequire } from 'node:module';
import { join } from 'node:path';
import { demoModel } from './demo-models.mjs';
import { main, root, ScriptError, step } from './process.mjs';
import { setup } from './setup.mjs';

const messages = [{ role: 'user', content: 'Explain in a few sentences why the sky is blue.' }];
const options = { max_new_tokens: 160, do_sample: false, repetition_penalty: 1.1 };

const sentences = [
  'A man is eating food.',
  'A man is eating a piece of bread.',
  'The girl is carrying a baby.',
  'A cheetah is running behind its prey.',
];

// npm run demo: from a fresh clone to an answer of a real model. npm run demo -- embed: to the likeness of sentences.
await main(async () => {
  const [what = 'generate'] = process.argv.slice(2);
  const demos = { generate: generateDemo, embed: embedDemo };
  if (!Object.hasOwn(demos, what)) {
    throw new ScriptError(`there is no demo '${what}'; there are ${Object.keys(demos).join(', ')}`);
  }
  await setup();
  await demos[what]();
});

async function embedDemo() {
  const source = await demoModel('minilm');
  const { pipeline } = createRequire(import.meta.url)(join(root, 'dist'));
  let extract;
  await step(`loading ${source}`, async () => {
    extract = await pipeline('feature-extraction', source);
  });
  try {
    const vectors = await extract(sentences, { pooling: 'mean', normalize: true });
    const [first] = vectors;
    console.log(
      `\n> ${sentences[0]}  (${first.length} numbers: ${first.slice(0, 4).map((value) => value.toFixed(4))}, ...)\n`,
    );
    for (const [index, vector] of vectors.entries()) {
      const cosine = vector.reduce((sum, value, place) => sum + value * first[place], 0);
      console.log(`${cosine.toFixed(4)}  ${sentences[index]}`);
    }
  } finally {
    await extract.dispose();
  }
}

async function generateDemo() {
  const source = await demoModel('smollm2');
  const { info, pipeline } = createRequire(import.meta.url)(join(root, 'dist'));
  const { isa, threads } = info();

  let generator;
  await step(`loading ${source} in int8 (${isa}, ${threads} threads)`, async () => {
    generator = await pipeline('text-generation', source, { quantization: 'int8' });
  });
  try {
    console.log(`\n> ${messages[0].content}\n`);
    const answer = generator.stream(messages, options);
    for await (const piece of answer) process.stdout.write(piece);
    console.log('\n');
    report(answer.statistics);
  } finally {
    await generator.dispose();
  }
}

function report({ promptTokens, promptMilliseconds, decodeTokens, decodeMilliseconds, timeToFirstToken }) {
  const rate = (tokens, milliseconds) => `${((tokens / milliseconds) * 1000).toFixed(1)} tokens/s (${tokens} tokens)`;
  console.log(`prompt               ${rate(promptTokens, promptMilliseconds)}`);
  console.log(`decode               ${rate(decodeTokens, decodeMilliseconds)}`);
  console.log(`time to first token  ${timeToFirstToken.toFixed(0)} ms`);
  // maxRSS is in KiB on every system.
  console.log(
    `peak memory          ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB (resident, whole process)`,
  );
}
