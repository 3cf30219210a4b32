import { ulid } from 'ulid';
import { KeyturnError } from '../errors.ts';
import { openRepository } from '../git/open.ts';
import { projectRoot } from '../here.ts';
import { loadManifests } from '../manifests/load.ts';
import { wishFile } from '../state/wishes.ts';
import type { Command } from './context.ts';

/** Pushes that may come first before somebody is asked to try again. */
const tries = 5;

/** `keyturn rotate NAME… --flag`: a wish that the next apply takes up. Needs the right to push and no identity. */
export const flagWish: Command<[string[], string]> = async ({ host, console }, names, reason) => {
  const { env, clock, random } = host;
  const root = projectRoot(host.cwd);
  const { project, secrets } = await loadManifests(root, { env });
  for (const name of names)
    if (!secrets.has(name))
      throw new KeyturnError(name, 'no such secret', { hint: 'its manifest is in manifests/' });
  const { stateRef } = project;
  const repository = await openRepository(root, {
    ...(stateRef === undefined ? {} : { stateRef }),
    env,
    clock,
    random,
  });
  const at = clock.now();
  const writes = names.map((secret) =>
    wishFile(ulid(at.getTime()), { secret, reason, at: at.toISOString() }),
  );
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await repository.publish({
      base: await repository.fetch(),
      writes,
      subject: `keyturn: ask to rotate ${names.length === 1 ? names[0] : `${names.length} secrets`}`,
      body: reason,
    });
    if (outcome.r === 'published') {
      const followed = await repository.followTip(outcome.tip);
      if (followed !== null) console.words(`keyturn: ${followed}`);
      console.words(`keyturn: the next apply rotates ${names.join(', ')}`);
      return 0;
    }
    if (outcome.r === 'refused')
      throw new KeyturnError(repository.place, `refused the wish: ${outcome.detail}`, {
        hint: 'a wish needs the right to push',
      });
    if (outcome.r === 'unknown' || attempt === tries)
      throw new KeyturnError(
        repository.place,
        outcome.r === 'moved' ? 'moved meanwhile, again and again' : outcome.detail,
        { hint: 'run it again', exit: 75 },
      );
  }
};
