// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of payloads
import { describe, expect, it } from 'vitest';
import { fillPayload, inspectPayload } from '../../src/manifests/payload.ts';
import { desired, join, manifest, mysql, said, secret } from './fixtures.ts';

const web = (more = '', url = 'https://rotator.internal:8443/rotate') =>
  manifest('Target', 'app', `type: web\nurl: "${url}"\n${more}`);
const custom = (more = '') =>
  manifest('RotatedSecret', 'key', `target: app\naccount: { username: reporting }\n${more}`);

describe('a target of type web', () => {
  it('is where its url says, with defaults for the rest', async () => {
    const { targets } = await desired(web());
    expect(targets.get('app')).toMatchObject({
      type: 'web',
      host: 'rotator.internal',
      port: 8443,
      timeout: 60_000,
      credentials: undefined,
      web: {
        path: '/rotate',
        header: 'KeyturnCreds',
        audience: 'https://rotator.internal:8443/rotate',
        accessId: undefined,
        authenticate: 'keyturn',
        allowAddresses: [],
        client: undefined,
      },
    });
    expect((await desired(web('', 'https://[fd12::1]/'))).targets.get('app')).toMatchObject({
      host: 'fd12::1',
      port: 443,
    });
  });

  it.each([
    ['http://rotator.internal/', 1],
    ['https://user@rotator.internal/', 1],
    ['https://rotator.internal/?token=1', 1],
    ['https://rotator.internal/#x', 1],
    ['https://', 1],
    ['https://rotator.internal', 0],
  ])('%s has %i mistakes', async (url, count) => {
    const found = await said(web('', url)).catch(() => []);
    expect(found).toHaveLength(count);
  });

  it('says what does not add up', async () => {
    expect(await said(web('allowAddresses: [localhost]'))).toEqual([
      'app: is no address or network | write e.g. 127.0.0.1 or 10.0.0.0/8',
    ]);
    expect(await said(web('tls: { certificate: { file: cert.pem } }'))).toEqual([
      'app: spec.tls has one of certificate and key | give both, or none',
    ]);
    expect(await said(web('timeout: 5m'))).toEqual([
      'app: spec.timeout is longer than a claim can wait | write 120s or less',
    ]);
    expect(await said(web('tls: { mode: disable }'))).toHaveLength(1);
    expect(await said(web('host: x'))).toHaveLength(1);
  });
});

describe('a custom rotator', () => {
  it('takes a proposed value and changes the account itself, unless it needs the current one', async () => {
    const read = async (more: string) => (await desired(join(web(), custom(more)))).secrets.get('key');
    expect(await read('')).toMatchObject({
      rotator: 'custom',
      authenticateAs: 'target',
      custom: {
        payload: '',
        generate: 'ours',
        operations: [],
        replays: false,
        acceptLossWindow: false,
        hasPolicy: false,
      },
    });
    const needing = await read(
      'operations: [verify]\npayload: { user: reporting, old: "${current_password}", n: [1] }',
    );
    expect(needing).toMatchObject({
      authenticateAs: 'user',
      custom: { payload: '{"user":"reporting","old":"${current_password}","n":[1]}' },
    });
    expect(await read('operations: [rotate, verify]\npasswordPolicy: { length: 20 }')).toMatchObject({
      custom: { operations: ['verify'], hasPolicy: true },
    });
  });

  it.each([
    [
      'generate: rotator\nauthenticateAs: user\noperations: [verify]',
      'key: a lost answer would lock the account out: its value is made there, and needs the one before | write generate: ours, or replays: true where the rotator answers the same request alike, or acceptLossWindow: true',
    ],
    [
      'payload: \'{"a": "${current_password}"}\'\nauthenticateAs: target',
      'key: the payload takes the current value, so the account changes itself | write authenticateAs: user, or take the placeholder out of the payload',
    ],
    [
      'payload: \'{"a": "${password}"}\'',
      'key: spec.payload names ${password}, which is none of ${current_password}, ${current.password}, ${current.username}, ${current.id} | see README, custom rotators',
    ],
    [
      'operations: [verify]\npayload: "old=${current_password}"',
      'key: spec.payload has placeholders, so it must be JSON | see README, custom rotators',
    ],
    [
      'payload: { "${current.username}": x }',
      'key: spec.payload has a placeholder in a key; only values may have one | see README, custom rotators',
    ],
    [
      'authenticateAs: user',
      'key: nobody can tell whether the value that is current now is right | write operations: [rotate, verify] where the rotator can tell',
    ],
    [
      'grace: 1h',
      'key: without the operation revoke nobody ends the former value | write operations: [rotate, revoke] where the rotator can, or grace: 0s',
    ],
    ['rotator: password', 'key: a web target is rotated by what is behind its url | write rotator: custom'],
    ['graceful: true', 'key: spec.graceful does not exist in web | remove it: only access keys have it'],
  ])('refuses %s', async (more, message) => {
    expect(await said(join(web(), custom(more)))).toEqual([message]);
  });

  it('may accept the loss, or have its answers repeated', async () => {
    for (const more of ['acceptLossWindow: true', 'replays: true'])
      expect(
        (
          await desired(
            join(web(), custom(`generate: rotator\nauthenticateAs: user\noperations: [verify]\n${more}`)),
          )
        ).secrets.size,
      ).toBe(1);
  });

  it('does not exist elsewhere', async () => {
    expect(await said(join(mysql(), secret('app', 'rotator: custom\npayload: x')))).toEqual([
      'app: mysql needs no custom rotator | name a target of type: web',
      'app: spec.payload does not exist in mysql | remove it: only web targets have it',
    ]);
  });
});

describe('a payload', () => {
  it('takes values into its strings, whatever is in them', () => {
    const payload = '{"a":"x ${current_password} y","b":["${current.username}"],"n":1}';
    const nasty = '","admin":true,"c":"\\${current.id}';
    expect(inspectPayload(payload)).toEqual({ uses: ['password', 'username'], problem: null });
    expect(JSON.parse(fillPayload(payload, { password: nasty, username: 'u' }))).toEqual({
      a: `x ${nasty} y`,
      b: ['u'],
      n: 1,
    });
  });

  it('without placeholders is sent as it is written', () => {
    expect(fillPayload('not { json', {})).toBe('not { json');
    expect(fillPayload('{"a" : 1}', { password: 'x' })).toBe('{"a" : 1}');
  });
});
