import { createRequire } from 'node:module';
import { join } from 'node:path';
import { demoModel } from './demo-models.mjs';
import { main, root, step } from './process.mjs';
import { setup } from './setup.mjs';

const messages = [{ role: 'user', content: 'Explain in a few sentences why the sky is blue.' }];
const options = { max_new_tokens: 160, do_sample: false, repetition_penalty: 1.1 };

// npm run demo: from a fresh clone to an answer of a real model.
await main(async () => {
  await setup();
  const source = await demoModel('smollm2');
  const { info, pipeline } = createRequire(import.meta.url)(join(root, 'dist'));
  const { isa, threads } = info();

  let generator;
  await step(`loading ${source} (${isa}, ${threads} threads)`, async () => {
    generator = await pipeline('text-generation', source);
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
});

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
