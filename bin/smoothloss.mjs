#!/usr/bin/env node
// @ts-check
// The command `smoothloss`. Each of its own commands is loaded when it is asked for.
import { createRequire } from 'node:module';

const HELP = `usage: smoothloss score --logits <file> --targets <file> --out <file> [options]

  score      the cross entropy of every row of a file of logits; smoothloss score --help lists the options
  --version  the version of smoothloss`;

const [command, ...args] = process.argv.slice(2);
if (command === 'score') {
  const { main } = await import('./score/main.mjs');
  await main(args);
} else if (command === '--version' || command === '-v') {
  console.log(createRequire(import.meta.url)('smoothloss/package.json').version);
} else if (command === '--help' || command === '-h' || command === undefined) {
  console.log(HELP);
} else {
  console.error(`smoothloss: '${command}' is no command\n${HELP}`);
  process.exitCode = 1;
}
