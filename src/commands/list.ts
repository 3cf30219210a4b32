import { recordOf } from '../engine/plan.ts';
import { nextDue } from '../engine/why.ts';
import { KeyturnError } from '../errors.ts';
import { projectRoot } from '../here.ts';
import { loadManifests } from '../manifests/load.ts';
import { renderJson } from '../output/json.ts';
import { renderTable } from '../output/tables.ts';
import { promotedVersions } from '../reader.ts';
import type { Session } from '../run.ts';
import type { SecretRecord } from '../state/model.ts';
import { type Command, type Context, sessionIfReadable } from './context.ts';

/** `keyturn list`: every declared or recorded secret, with its version and when it falls due. */
export const list: Command<[]> = async (context) => {
  const session = await sessionIfReadable(context);
  const rows = session ? overview(session) : await published(context);
  if (context.json) context.console.data(renderJson(rows));
  else
    context.console.data(
      renderTable(
        ['name', 'target', 'version', 'health', 'last rotated', 'next due'],
        rows.map((row) => [
          row.name,
          row.target,
          row.version === null ? '-' : `v${row.version}`,
          row.health,
          minute(row.promotedAt),
          minute(row.nextDue),
        ]),
        { color: context.console.color.data },
      ),
    );
  return 0;
};

/** What a reader sees: names and promoted versions; everything else is in the state. */
async function published(context: Context): Promise<Row[]> {
  const { host, console } = context;
  const { secrets } = await loadManifests(projectRoot(host.cwd), { env: host.env });
  const versions = await promotedVersions(host, [...secrets.keys()]);
  console.words('keyturn: names and versions only; the rest is for reconcilers and planners');
  return [...secrets.values()]
    .map(({ name, target }) => ({
      name,
      target,
      version: versions.get(name) ?? null,
      health: '-',
      promotedAt: null,
      nextDue: null,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

interface Row {
  name: string;
  target: string;
  version: number | null;
  health: string;
  promotedAt: string | null;
  nextDue: string | null;
}

function overview({ desired, ledger }: Session): Row[] {
  const records = Object.values(ledger.state.records);
  const declared = [...desired.secrets.values()].map((secret): Row => {
    const record = recordOf(secret, ledger.state.records);
    return {
      ...recorded(record),
      name: secret.name,
      target: secret.target,
      nextDue: (record && nextDue(secret, record))?.toISOString() ?? null,
    };
  });
  const names = new Set(declared.map((row) => row.name));
  const unmanaged = records
    .filter(
      (record) =>
        !names.has(record.name) && ![...desired.secrets.values()].some((s) => s.movedFrom === record.name),
    )
    .map(
      (record): Row => ({
        ...recorded(record),
        name: record.name,
        target: record.target,
        health: 'unmanaged',
        nextDue: null,
      }),
    );
  return [...declared, ...unmanaged].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function recorded(record: SecretRecord | undefined): Pick<Row, 'version' | 'health' | 'promotedAt'> {
  const current = record && record.current !== null ? record.versions[record.current] : undefined;
  const health = !record ? 'new' : record.pending ? pendingWords(record, record.pending.v) : record.health;
  return { version: record?.current ?? null, health, promotedAt: current?.promotedAt ?? null };
}

function pendingWords(record: SecretRecord, v: number): string {
  const hosts = Object.values(record.hosts ?? {});
  return hosts.length === 0
    ? `v${v} pending`
    : `v${v} on ${hosts.filter((host) => host.v === v).length} of ${hosts.length} hosts`;
}

export function findRecord({ ledger, desired }: Session, name: string): SecretRecord {
  const record = Object.values(ledger.state.records).find((candidate) => candidate.name === name);
  if (record) return record;
  throw new KeyturnError(name, desired.secrets.has(name) ? 'has no version yet' : 'no such secret', {
    hint: desired.secrets.has(name) ? 'keyturn apply makes the first one' : 'keyturn list shows the names',
  });
}

/** `2026-11-20 03:00Z`, or `-`. */
export const minute = (iso: string | null): string =>
  iso === null ? '-' : `${iso.slice(0, 16).replace('T', ' ')}Z`;
