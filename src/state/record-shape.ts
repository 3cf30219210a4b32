/** What a `SecretRecord` must look like in the journal. A field added to the model does not compile until it is here. */
import { notifyEvents } from '../manifests/model.ts';
import type {
  Binding,
  Claim,
  HostRecord,
  Notice,
  Pending,
  Sched,
  SecretRecord,
  VersionRecord,
} from './model.ts';
import type { SessionNote } from './sessions.ts';
import { type Check, flag, listOf, mapOf, objectOf, oneOf, orNull, text, whole } from './shape.ts';

/** ISO 8601 in UTC, as `Date.toISOString` writes it. */
export const instant: Check = (value, at) =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/.test(value) &&
  !Number.isNaN(Date.parse(value))
    ? null
    : at;

/** Record ids and journal lineages: ULIDs, and whatever looks like one. */
export const idPattern = /^[0-9A-Za-z][0-9A-Za-z-]{0,63}$/;

export const sha256 = text(/^sha256:[0-9a-f]{64}$/);

const filled = text(/./s);

export const binding = objectOf<Binding>({
  type: filled,
  host: filled,
  port: whole(0),
  account: filled,
  tls: filled,
  sessions: { optional: filled },
  hosts: { optional: mapOf(/./s, filled) },
});

const how = oneOf('login', 'witness', 'acknowledged');
const health = oneOf('ok', 'restricted', 'unverified', 'drift', 'blocked', 'not-effective');

const version = objectOf<VersionRecord>({
  stage: oneOf('current', 'retiring', 'retired', 'abandoned', 'pending'),
  createdAt: instant,
  promotedAt: { optional: instant },
  retireAfter: { optional: instant },
  retiredAt: { optional: instant },
  verified: {
    optional: objectOf<NonNullable<VersionRecord['verified']>>({
      at: instant,
      how,
    }),
  },
  readers: listOf(filled),
  formerReaders: { optional: listOf(filled) },
  file: orNull(sha256),
  username: text(),
  handle: { optional: filled },
  before: { optional: listOf(filled) },
  expiresAt: { optional: instant },
  removeAfter: { optional: instant },
});

const pending = objectOf<Pending>({
  v: whole(1),
  phase: oneOf('claimed', 'issued', 'dropping'),
  claim: objectOf<Claim>({
    id: filled,
    by: objectOf<Claim['by']>({ runner: text(), pid: whole(0) }),
    at: instant,
    lease: whole(0),
    attempt: whole(0),
  }),
  why: oneOf(
    'due',
    'new',
    'flagged',
    'rotate-token',
    'reader-removed',
    'reader-added',
    'drift',
    'session',
    'policy-refused',
  ),
  uses: listOf(filled),
  baseline: mapOf(/^/, text()),
  actor: oneOf('self', 'target'),
  retain: flag,
  refusals: whole(0),
  tried: listOf(whole(1)),
  reason: { optional: text() },
  before: listOf(filled),
  victims: listOf(filled),
});

const failure = objectOf<NonNullable<Sched['lastError']>>({ class: text(), code: text(), step: text() });

const sched = objectOf<Sched>({
  failures: whole(0),
  nextAttemptAt: orNull(instant),
  lastError: orNull(failure),
  rotateToken: orNull(text()),
  probeAfter: orNull(instant),
  notified: listOf(text()),
  checkedAt: { optional: instant },
  driftAt: { optional: instant },
});

const notice = objectOf<Notice>({
  key: filled,
  event: oneOf('before', ...notifyEvents),
  version: orNull(whole(1)),
  at: instant,
  by: text(),
  facts: mapOf(/^[a-z]+$/, text()),
  channels: listOf(filled),
});

const session = objectOf<SessionNote>({
  id: filled,
  version: whole(1),
  by: text(),
  from: text(),
  protocol: text(),
  host: text(),
  exclusive: flag,
  openedAt: instant,
  unused: { optional: flag },
  endedAt: { optional: instant },
  end: { optional: oneOf('left', 'lapsed', 'gone') },
});

const host = objectOf<HostRecord>({
  binding,
  v: orNull(whole(1)),
  baseline: { optional: mapOf(/^/, text()) },
  sent: { optional: oneOf('no', 'acknowledged', 'unknown') },
  took: { optional: objectOf<NonNullable<HostRecord['took']>>({ how, health }) },
  lastError: { optional: failure },
  probeAfter: { optional: instant },
  tried: { optional: listOf(whole(1)) },
});

const record = objectOf<SecretRecord>({
  uid: text(idPattern),
  name: filled,
  rotator: filled,
  target: filled,
  current: orNull(whole(1)),
  specDigest: text(/^(sha256:[0-9a-f]+)?$/),
  versions: mapOf(/^[1-9]\d{0,8}$/, version),
  pending: orNull(pending),
  binding,
  hosts: { optional: mapOf(/./, host) },
  sched,
  health,
  readerNames: { optional: mapOf(/^fp:[0-9a-f]{16}$/, filled) },
  approved: { optional: listOf(filled) },
  protected: { optional: flag },
  outbox: { optional: listOf(notice) },
  sessions: { optional: listOf(session) },
});

/**
 * Where `value` is not a record, or null: its shape, that `current` and `pending` name versions that it has, and
 * that a value is recorded wherever one must be.
 */
export function recordProblem(value: unknown, at: string): string | null {
  const wrong = record(value, at);
  if (wrong !== null) return wrong;
  const { current, pending: open, versions } = value as SecretRecord;
  if (current !== null && versions[current] === undefined) return `${at}.current`;
  if (current !== null && versions[current]?.file === null) return `${at}.current`;
  if (open !== null && versions[open.v] === undefined) return `${at}.pending`;
  return null;
}
