/** A process of its own that adds 1 to a counter in the state, again and again, against others that do the same. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import { openRepository } from '../../src/git/open.ts';

const [clone = '', times = '0', dieAt = ''] = process.argv.slice(2);
const repository = await openRepository(clone, {
  clock: systemClock,
  random: (n) => randomBytes(n),
  failpoint: async (name) => {
    if (name === dieAt) process.kill(process.pid, 'SIGKILL');
  },
});

for (let left = Number(times); left > 0; ) {
  const base = await repository.fetch();
  const oid = (await repository.list(base, ['state'])).get('state/counter');
  const bytes = oid === undefined ? undefined : (await repository.read([oid])).get(oid);
  const next = Number(bytes === undefined ? 0 : Buffer.from(bytes).toString()) + 1;
  // the same words from every process: only the nonce tells the commits apart
  const outcome = await repository.publish({
    base,
    subject: 'count',
    body: '',
    writes: [{ path: 'state/counter', bytes: Buffer.from(String(next)) }],
  });
  if (outcome.r === 'published') left -= 1;
  else if (outcome.r !== 'moved') throw new Error(`${outcome.r}: ${outcome.detail}`);
}
