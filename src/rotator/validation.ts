/**
 * The validation endpoint that rotators written for the platform that keyturn replaces ask:
 * `POST /validate-producer-credentials {creds, expected_access_id, expected_item_name}` -> 200 or 401. The answer
 * also has `jti` and `body_sha256`: whoever compares them with the request knows that it is this very one.
 */
import type { RequestListener } from 'node:http';
import { bodyOf, send } from './listener.ts';
import { checkToken, sameName, type TokenRules } from './token.ts';
import type { Reply } from './wire.ts';

export const validationPath = '/validate-producer-credentials';

export function validation(
  rules: TokenRules,
  log: (line: string) => void = () => undefined,
): RequestListener {
  const unauthorized = (why: string): Reply => {
    log(`refused: ${why}`);
    return { status: 401, body: { error: 'unauthorized' } };
  };
  const judge = async (body: Buffer | null): Promise<Reply> => {
    const asked = body === null ? null : questionOf(body);
    if (asked === null) return { status: 400, body: { error: 'bad request' } };
    const { creds, expected_access_id: accessId, expected_item_name: itemName } = asked;
    const verdict = await checkToken(
      { token: creds, ...(itemName === undefined ? {} : { itemName }) },
      { ...rules, ...(accessId === undefined ? {} : { accessId }) },
    );
    if (verdict.r === 'refused') return unauthorized(verdict.why);
    const { access_id, item_name, jti, body_sha256 } = verdict.claims;
    if (itemName !== undefined && !sameName(item_name, itemName)) return unauthorized('wrong-item');
    log('valid');
    return { status: 200, body: { access_id, item_name, jti, body_sha256 } };
  };
  return (request, response) => {
    if (request.method !== 'POST' || request.url !== validationPath)
      return send(response, { status: 404, body: { error: 'not found' } });
    bodyOf(request)
      .then(judge)
      .then(
        (reply) => send(response, reply),
        () => send(response, { status: 500, body: { error: 'failed' } }),
      );
  };
}

interface Question {
  creds: string;
  expected_access_id?: string;
  expected_item_name?: string;
}

function questionOf(body: Buffer): Question | null {
  try {
    const read = JSON.parse(body.toString()) as Record<string, unknown> | null;
    const text = (value: unknown): boolean => value === undefined || typeof value === 'string';
    if (typeof read?.creds !== 'string') return null;
    if (!text(read.expected_access_id) || !text(read.expected_item_name)) return null;
    return read as unknown as Question;
  } catch {
    return null;
  }
}
