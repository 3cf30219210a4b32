/** The GitHub Action: what `npm run bundle` makes one file of, and `action.yml` starts. */
import { runAction } from './github/action.ts';
import { dumpNoMemory, systemHost } from './host.ts';
import { sayLastWords } from './output/last-words.ts';

dumpNoMemory();
const host = systemHost();
process.on('uncaughtException', (error) => {
  sayLastWords(error, host);
  process.exit(1);
});
process.exit(await runAction(host));
