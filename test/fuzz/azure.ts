/** What Azure never says: its own answers with something else in them, and no answers at all. */
import type { ServerResponse } from 'node:http';
import type { Answer } from '../servers/azure/exchange.ts';
import type { Dice } from './seeds.ts';

const hostile = (dice: Dice): unknown =>
  dice.pick<() => unknown>([
    () => null,
    () => dice.pick([0, -1, 12, 1e21, 0.5]),
    () => true,
    () => '',
    () => [],
    () => ({}),
    () => ['x', null, 3],
    () => ({ toString: 'x', __proto__: { keyId: 'x' } }),
    () => '\u001b[2J\r\n::add-mask::x',
    () => 'x'.repeat(dice.below(200_000)),
    () => '../../users/root',
    () => '00000000-0000-0000-0000-000000000000',
    () => '9999-99-99T99:99:99Z',
    () => dice.bytes(40).toString('latin1'),
  ])();

/** The same JSON, but for one or a few places in it. */
export function damaged(truth: unknown, dice: Dice): unknown {
  const copy = structuredClone(truth) ?? {};
  for (let times = 1 + dice.below(3); times > 0; times -= 1) {
    const places = placesOf(copy);
    const [first] = places;
    if (first === undefined) return hostile(dice);
    const [within, key] = dice.pick([first, ...places]);
    const kind = dice.below(6);
    if (Array.isArray(within)) {
      if (kind === 0) within.splice(Number(key), 1);
      else if (kind === 1) within.push(within[Number(key)]);
      else within[Number(key)] = hostile(dice);
    } else if (kind === 0) delete within[key];
    else within[key] = hostile(dice);
  }
  return copy;
}

type Place = [within: Record<string, unknown> | unknown[], key: string];

function placesOf(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [value as Place[0], key] as Place,
    ...placesOf(inner),
  ]);
}

/** Answers in the place of a true one. `elsewhere` is where redirects lead. */
export function lieTo(response: ServerResponse, truth: Answer, dice: Dice, elsewhere: string): void {
  const text = JSON.stringify(truth.body ?? {});
  const json = { 'content-type': 'application/json;odata.metadata=minimal;charset=utf-8' };
  const status = truth.status === 204 ? 200 : truth.status;
  const say = (code: number, headers: Record<string, string>, body: string | Buffer): void => {
    response.writeHead(code, headers);
    response.end(body);
  };
  const lies: [() => void, ...(() => void)[]] = [
    () => say(status, json, JSON.stringify(damaged(truth.body, dice))),
    () =>
      say(
        status,
        json,
        JSON.stringify({ ...(truth.body ?? {}), value: [], nextLink: page(dice, elsewhere) }),
      ),
    () => say(status, json, text.slice(0, dice.below(text.length))),
    () => say(status, { ...json, 'content-length': String(text.length + 9) }, text),
    () => say(status, { 'content-type': dice.pick(['text/html', 'application/xml', 'image/png', '']) }, text),
    () => say(status, { ...json, 'content-encoding': dice.pick(['gzip', 'br', 'x']) }, text),
    () => say(dice.pick([200, 204, 202]), json, ''),
    () => say(status, json, dice.bytes(dice.below(2_000))),
    () => say(status, json, '['.repeat(dice.below(100_000))),
    () => say(dice.pick([301, 302, 303, 307, 308]), { location: `${elsewhere}/v1.0/users/x` }, ''),
    () => say(dice.pick([400, 401, 404, 409, 429, 500, 503]), { ...json, ...retry(dice) }, errorOf(dice)),
    () => {
      response.writeHead(status, json);
      pour(response);
    },
    () => {
      response.writeHead(status, json);
      drip(response, text);
    },
    () => undefined,
    () => response.destroy(),
  ];
  // the shape that is true but for a word is what gets furthest
  (dice.below(2) === 0 ? lies[0] : dice.pick(lies))();
}

const page = (dice: Dice, elsewhere: string): unknown =>
  dice.pick([`${elsewhere}/subscriptions`, '/subscriptions', 'file:///etc/passwd', 'x'.repeat(9_000), 5]);

const retry = (dice: Dice): Record<string, string> => ({
  'retry-after': dice.pick(['9999999999', '-1', 'tomorrow', '', '0', 'Fri, 31 Dec 9999 23:59:59 GMT']),
});

const errorOf = (dice: Dice): string =>
  JSON.stringify({
    error: dice.pick<unknown>([
      { code: `\u001b[2J${'x'.repeat(dice.below(5_000))}`, message: 'AADSTS7000215 \u0007 ::error::x' },
      { code: ['x'], message: { a: 1 } },
      'invalid_client',
      null,
      { code: 'Directory_ConcurrencyViolation', message: 5 },
    ]),
    error_description: 'AADSTS1: \u001b]0;x',
    error_codes: 'none',
  });

/** More than anybody ought to read. */
function pour(response: ServerResponse): void {
  const block = ' '.repeat(65_536);
  const more = (): void => {
    for (let blocks = 0; blocks < 16 && !response.destroyed; blocks += 1) if (!response.write(block)) return;
    if (!response.destroyed) setImmediate(more);
  };
  response.on('drain', more);
  more();
}

/** A byte now and then, for as long as somebody listens. */
function drip(response: ServerResponse, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (response.destroyed) clearInterval(timer);
    else response.write(text.charAt(at) || ' ');
    at += 1;
  }, 40);
  response.on('close', () => clearInterval(timer));
}
