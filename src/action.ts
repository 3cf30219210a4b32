/** The GitHub Action: what `npm run bundle` makes one file of, and `action.yml` starts. */
import { runAction } from './github/action.ts';
import { systemHost } from './host.ts';

process.exit(await runAction(systemHost()));
