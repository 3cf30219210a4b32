import type { SecretRecord } from '../../src/state/model.ts';
import type { World } from '../crash/world.ts';
import { type CustomServer, startCustom } from '../servers/custom.ts';
import { audience } from '../servers/rotator.ts';
import { fresh, initial, type Member, manifest, type Part } from './part.ts';

/** The current value is part of what such a rotator is asked with. */
const payload = `\n  payload: '{"current": "\${current_password}"}'`;

/** Custom rotators, one that repeats its answers and one that does not: values that we choose, and that they make. */
export async function rotators(world: World): Promise<Part> {
  const servers = { replays: await startCustom(), forgets: await startCustom({ replays: false }) };
  const both = Object.values(servers);
  const jwks = await world.ask(world.machine('rotators'), ['jwks']);
  for (const server of both) server.keys = JSON.parse(jwks.stdout);
  const manifests: string[] = [];
  const files: Record<string, string> = {};
  for (const [name, { url, caPem }] of Object.entries(servers)) {
    files[`${name}.pem`] = caPem;
    const net = `  tls: { ca: ${name}.pem }\n  allowAddresses: [127.0.0.1, "::1"]\n  timeout: 5s`;
    manifests.push(manifest('Target', name, `  type: web\n  url: ${url}/\n  audience: ${audience}\n${net}`));
  }
  const members: Member[] = [];
  const add = (
    name: string,
    on: keyof typeof servers,
    spec: string,
    { needsCurrent = false, ...more }: Partial<Member> & { needsCurrent?: boolean } = {},
  ): void => {
    const [server, user, secret] = [servers[on], `so_${name}`, `web/${name}`];
    const value = fresh();
    server.store.create(user, value);
    const file = initial(world, `web-${name}`, value);
    const given = needsCurrent ? `${payload}\n  initial: { password: { file: ${file} } }` : '';
    manifests.push(
      manifest(
        'RotatedSecret',
        secret,
        `  target: ${on}\n  ${spec}\n  account: { username: ${user} }\n  schedule: { every: 300d }${given}`,
      ),
    );
    members.push({
      secret,
      overlap: false,
      accepts: async (kept) => server.store.login(user, kept.value) !== 'refused',
      strays: async (_, accepted) => {
        const held = server.held(user);
        return held === accepted
          ? []
          : [`the rotator holds ${held} values of ${secret}, ${accepted} are recorded`];
      },
      ...more,
    });
  };
  add('grace', 'forgets', 'operations: [rotate, verify, revoke]\n  grace: 1h', { overlap: true });
  add('presented', 'forgets', 'operations: [rotate, verify]', { needsCurrent: true });
  add('unverified', 'replays', 'replays: true');
  add('made', 'replays', 'generate: rotator\n  replays: true\n  operations: [rotate, verify]', {
    needsCurrent: true,
    daily: true,
    again: (record) => isRepeated(servers.replays, 'so_made', record),
  });
  // it needs no former value: another one can always be had
  add('renewed', 'forgets', 'generate: rotator\n  operations: [rotate, verify]', { again: () => true });
  return {
    server: 'custom rotators',
    members,
    manifests: { 'manifests/web.yaml': manifests.join('---\n'), ...files },
    clock: (ahead) => {
      for (const server of both) server.ahead = ahead;
    },
    stop: () => Promise.all(both.map((server) => server.stop())),
  };
}

/** The live value is what the rotator answers once more under the key of the claim. */
function isRepeated({ store }: CustomServer, user: string, { pending }: SecretRecord): boolean {
  const answered = store.answers.read(pending?.baseline.key ?? pending?.claim.id ?? '');
  if (answered === undefined || answered instanceof Promise) return false;
  return store.login(user, String(answered.reply.body.password)) === 'present';
}
