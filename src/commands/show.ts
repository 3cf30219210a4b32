import { nextDue } from '../engine/why.ts';
import type { ExitCode } from '../errors.ts';
import { renderJson } from '../output/json.ts';
import { renderTable } from '../output/tables.ts';
import { glimpses } from '../reader.ts';
import type { HostRecord, SecretRecord } from '../state/model.ts';
import { type Command, type Context, sessionIfReadable } from './context.ts';
import { findRecord, minute } from './list.ts';

/** `keyturn show NAME`: everything the state knows about one secret; a reader sees its versions. Never its value. */
export const show: Command<[string]> = async (context, name) => {
  const session = await sessionIfReadable(context);
  if (!session) return forReader(context, name);
  const record = findRecord(session, name);
  const secret = session.desired.secrets.get(name);
  const due = secret && nextDue(secret, record);
  if (context.json) {
    context.console.data(renderJson({ ...record, nextDue: due?.toISOString() ?? null }));
    return 0;
  }
  const { sched, pending, binding } = record;
  const facts: [string, string][] = [
    ['name', record.name],
    ['uid', record.uid],
    ['rotator', record.rotator],
    [
      'target',
      `${record.target} (${binding.type}, ${binding.host}:${binding.port}, ${binding.account}, TLS ${binding.tls})`,
    ],
    ...Object.entries(record.hosts ?? {}).map(([host, known]): [string, string] => [
      'host',
      hostWords(host, known),
    ]),
    ['health', record.health],
    ['current', record.current === null ? 'none' : `v${record.current}`],
    [
      'pending',
      pending
        ? `v${pending.v}, claimed ${minute(pending.claim.at)} by ${pending.claim.by.runner}, attempt ${pending.claim.attempt}`
        : 'none',
    ],
    ['next due', minute(due?.toISOString() ?? null)],
    [
      'readers',
      secret
        ? secret.readers.map((reader) => reader.name).join(', ') || 'none'
        : 'unknown, its manifest is gone',
    ],
    [
      'sessions',
      (record.sessions ?? [])
        .filter(({ endedAt }) => endedAt === undefined)
        .map(({ by, openedAt }) => `${by} since ${minute(openedAt)}`)
        .join(', ') || 'none',
    ],
    [
      'last error',
      sched.lastError
        ? `${sched.lastError.step}: ${sched.lastError.class} (${sched.lastError.code})`
        : 'none',
    ],
  ];
  const width = Math.max(...facts.map(([key]) => key.length));
  context.console.data(facts.map(([key, value]) => `${key.padEnd(width)}  ${value}`).join('\n'));
  context.console.data('');
  context.console.data(versionTable(record, context.console.color.data));
  return 0;
};

/** What `show` and `history` tell somebody who reads values but not the state. */
export async function forReader(context: Context, name: string): Promise<ExitCode> {
  const { host, console, identity, json } = context;
  const { versions, notes } = await glimpses(host, name, identity);
  for (const note of notes) console.warn(`keyturn: ${note}`);
  console.words('keyturn: versions only; the rest is for reconcilers and planners');
  if (json) console.data(renderJson({ name, versions }));
  else
    console.data(
      renderTable(
        ['version', 'current', 'for you', 'issued', 'username', 'signed by'],
        versions.map((one) => [
          `v${one.version}`,
          one.promoted ? 'yes' : '-',
          one.forYou ? 'yes' : 'no',
          minute(one.issuedAt),
          one.username ?? '-',
          one.signedBy ?? '-',
        ]),
        { color: console.color.data },
      ),
    );
  return 0;
}

const hostWords = (host: string, { binding, v, lastError }: HostRecord): string =>
  `${host} (${binding.host}:${binding.port}) ${v === null ? 'has none yet' : `has v${v}`}${
    lastError === undefined ? '' : `; ${lastError.step}: ${lastError.class} (${lastError.code})`
  }`;

const versionTable = (record: SecretRecord, color: boolean): string =>
  renderTable(
    ['version', 'stage', 'created', 'promoted', 'verified', 'username', 'ends'],
    Object.entries(record.versions)
      .sort(([a], [b]) => Number(b) - Number(a))
      .map(([v, version]) => [
        `v${v}`,
        version.stage,
        minute(version.createdAt),
        minute(version.promotedAt ?? null),
        version.verified?.how ?? '-',
        version.username,
        minute(version.retiredAt ?? version.retireAfter ?? null),
      ]),
    { color },
  );
