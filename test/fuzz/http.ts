/** What HTTP servers say when they are none, or mean no good. */
import { type Liar, startLiar } from './liar.ts';
import type { Dice } from './seeds.ts';

const bodies = (dice: Dice): Buffer =>
  dice.pick([
    () => dice.bytes(dice.below(500)),
    () => Buffer.from('{"payload":'.repeat(1 + dice.below(4000))),
    () => Buffer.from('['.repeat(1 + dice.below(50_000))),
    () => Buffer.from('<a>'.repeat(1 + dice.below(20_000))),
    () =>
      Buffer.from('{"payload":{"password":1},"applied":"yes","password":["x"],"__proto__":{"applied":true}}'),
    () => Buffer.from('null'),
    () => Buffer.from('{"token":12,"keys":"x","id":null}'),
    () => Buffer.from(xmlOf(dice)),
    () => Buffer.alloc(0),
  ])();

/** Answers of AWS with the wrong things in them, some of them bombs. */
function xmlOf(dice: Dice): string {
  const entity =
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>';
  const key = dice.pick([
    '',
    '<AccessKey/>',
    '<AccessKey><AccessKeyId>&c;</AccessKeyId></AccessKey>',
    `<AccessKeyMetadata><member><AccessKeyId>${'A'.repeat(dice.below(5000))}</AccessKeyId><CreateDate>yesterday</CreateDate><Status>Perhaps</Status></member></AccessKeyMetadata><IsTruncated>true</IsTruncated><Marker>x</Marker>`,
    '<Arn>arn:aws:iam::000000000000:user/somebody\u001b[2J</Arn><Account>&#27;]0;x</Account>',
  ]);
  const action = dice.pick([
    'ListAccessKeys',
    'CreateAccessKey',
    'GetCallerIdentity',
    'DeleteAccessKey',
    'x',
  ]);
  return `${dice.pick(['', entity])}<${action}Response><${action}Result>${key}</${action}Result>${dice.pick(['', `</${action}Response>`])}`;
}

const heads = (dice: Dice, length: number): string =>
  [
    dice.pick([
      'HTTP/1.1 200 OK',
      'HTTP/1.1 200 OK',
      'HTTP/1.1 200 OK',
      'HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/',
      'HTTP/1.1 404 \u001b[31m',
      'HTTP/1.1 500 Oops',
      'HTTP/1.1 99999 Never',
      'HTTP/9.9 ok',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade',
      'HTTP/1.1 100 Continue',
      'SSH-2.0-OpenSSH_9.2',
    ]),
    `Content-Type: ${dice.pick(['application/json', 'text/xml', 'text/xml; charset=utf-16', ''])}`,
    dice.pick([
      `Content-Length: ${length}`,
      `Content-Length: ${length + dice.below(100)}`,
      'Content-Length: 99999999999',
      'Content-Length: -1',
      'Transfer-Encoding: chunked',
      'Content-Encoding: gzip',
      `X: ${'y'.repeat(dice.below(40_000))}`,
      `Retry-After: ${dice.pick(['9999999999', '-1', 'tomorrow'])}`,
      'Connection: close',
    ]),
    '\r\n',
  ].join('\r\n');

/** One server, for as long as it lives. `turn` 0 is before the client has said anything. */
export function httpLiar(dice: Dice, tls?: { certPem: string; keyPem: string }): Promise<Liar> {
  const kind = dice.pick([
    'http',
    'http',
    'http',
    'http',
    'garbage',
    'endless body',
    'endless',
    'silent',
    'cut',
  ]);
  return startLiar(
    (turn) => {
      if (turn === 0) return Buffer.alloc(0);
      const body = bodies(dice);
      switch (kind) {
        case 'silent':
          return Buffer.alloc(0);
        case 'cut':
          return turn > 1 ? null : Buffer.from(heads(dice, body.length).slice(0, dice.below(60)));
        case 'garbage':
          return dice.bytes(1 + dice.below(300));
        case 'endless':
          return 'endless';
        case 'endless body':
          return Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n');
        default:
          return Buffer.concat([Buffer.from(heads(dice, body.length)), body]);
      }
    },
    tls,
    kind === 'endless body',
  );
}
