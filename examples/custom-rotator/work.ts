/** What this rotator does. Who asks, and whether it was asked before, `keyturn/rotator` has settled by then. */
import { randomInt } from 'node:crypto';
import { type Reply, type RotatorRequest, refusal, type Work } from 'keyturn/rotator';
import type { UserStore } from './store.ts';

export const workOn =
  (store: UserStore): Work =>
  (request, remember) => {
    const name = request.username ?? '';
    if (!store.has(name) && request.operation !== 'status') return refusal(404, 'no-account');
    switch (request.operation) {
      case 'rotate':
        if (!mayRotate(store, name, request)) return refusal(409, 'bad-current');
        return store.transaction(() => {
          const made = request.proposed_password === undefined ? { password: makePassword(request) } : {};
          store.setPassword(name, request.proposed_password ?? made.password ?? '', request.retain === true);
          // in the same transaction: a rotation happens once, whatever dies when
          return remember({ status: 200, body: { applied: true, ...made } });
        });
      case 'verify':
        return { status: 200, body: { valid: store.login(name, request.password ?? '') !== 'refused' } };
      case 'revoke':
        if (store.login(name, request.password ?? '') === 'present') return refusal(409, 'in-use');
        store.endFormer(name);
        return { status: 200, body: { applied: true } };
      case 'status':
        return statusOf(store, request);
    }
  };

/** A payload of `{ current: "${current_password}" }` is a proof: only who knows the password may change it. */
function mayRotate(store: UserStore, name: string, { payload }: RotatorRequest): boolean {
  const { current } = payload.startsWith('{') ? JSON.parse(payload) : {};
  return current === undefined || store.login(name, String(current)) !== 'refused';
}

function statusOf(store: UserStore, request: RotatorRequest): Reply {
  const known = store.answers.read(request.operation_id ?? '');
  if (known === undefined || known instanceof Promise) return { status: 200, body: { state: 'not-applied' } };
  return { status: 200, body: { ...known.reply.body, state: 'applied' } };
}

/** Only where the manifest says `generate: rotator`. */
function makePassword({ password_policy: policy }: RotatorRequest): string {
  const kinds = [
    ...(policy?.lower === false ? [] : ['abcdefghijkmnopqrstuvwxyz']),
    ...(policy?.upper === false ? [] : ['ABCDEFGHJKLMNPQRSTUVWXYZ']),
    ...(policy?.digits === false ? [] : ['23456789']),
    ...(policy?.symbols === true ? ['-_.!'] : []),
  ];
  const pick = (from: string): string => from.charAt(randomInt(from.length));
  for (;;) {
    const password = Array.from({ length: policy?.length ?? 32 }, () => pick(kinds.join(''))).join('');
    if (kinds.every((kind) => [...kind].some((each) => password.includes(each)))) return password;
  }
}
