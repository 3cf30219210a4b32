/** Values published by hand: a clone with sealed versions and no target, for tests of reading alone. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../../src/secret.ts';
import { currentPath, formatCurrent } from '../../src/state/pointers.ts';
import { sealVersion, valuePath } from '../../src/state/version-file.ts';
import { type Desk, takeDesk } from '../commands/desk.ts';
import { type Person, person } from '../state/people.ts';

export interface Shelf {
  desk: Desk;
  ci: Person;
  /** Seals a version, makes it current; commit it with `desk.push`. */
  publish(name: string, v: number, value: string, recipients: readonly string[]): Promise<void>;
}

export async function openShelf(): Promise<Shelf> {
  const desk = takeDesk();
  const ci = await person('ci-1');
  desk.write(
    'keyturn.yaml',
    `apiVersion: keyturn/v1\nkind: Project\nmetadata: { name: acme }\nspec: { reconcilers: [${ci.recipient}] }\n`,
  );
  return {
    desk,
    ci,
    async publish(name, v, value, recipients) {
      const bytes = await sealVersion(
        {
          repo: 'REPO1',
          uid: `U${name.replace(/\W/g, '')}`,
          name,
          v,
          binding: { type: 'mysql', host: 'db', port: 3306, account: 'app@%', tls: 'system' },
          fields: { value: new Secret(value).reveal(), fields: { username: 'app' } },
          issuedAt: '2026-11-01T03:00:00.000Z',
        },
        [ci.recipient, ...recipients],
        ci.signer,
      );
      desk.write(valuePath(name, v), '');
      writeFileSync(join(desk.clone, valuePath(name, v)), bytes);
      desk.write(currentPath(name), Buffer.from(formatCurrent(v)).toString());
    },
  };
}
