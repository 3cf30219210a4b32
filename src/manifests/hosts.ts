/** `spec.hosts`: one document that stands for the same account on several targets. */
import type { ManifestDocument } from './parse.ts';
import type { Problems } from './problems.ts';
import type { Manifest } from './schema.ts';
import type { WrittenSecret } from './written.ts';

/** A rotated secret, and the name of its document where that stands for several hosts. */
export interface Spread extends Manifest<WrittenSecret> {
  family?: string;
  /** Only checked by the rules: another host of a secret that has one value for all. */
  part?: true;
}

/** What a host is called within its family: the last segment of its target's name. */
export const hostLabel = (target: string): string => target.slice(target.lastIndexOf('/') + 1);

/** One rotated secret a host, named `NAME/HOST`; or one for all of them, which keeps the name. */
export function spread({ document, written }: Manifest<WrittenSecret>, problems: Problems): Spread[] {
  const { metadata, spec } = written;
  const { hosts, values, movedFrom, ...common } = spec;
  const say = (pointer: string, what: string, hint: string): void =>
    problems.add(document.at(pointer), document.subject, what, hint);
  if (hosts === undefined) {
    if (values !== undefined) say('/spec/values', 'spec.values is for hosts', 'add hosts, or remove it');
    return [{ document, written }];
  }
  if (spec.target !== undefined)
    say('/spec/hosts', 'spec has both target and hosts', 'keep hosts for several targets, else target');
  const labels = new Set<string>();
  return hosts.flatMap((target, index): Spread[] => {
    const label = hostLabel(target);
    const place = `/spec/hosts/${index}`;
    if (labels.has(label)) {
      say(
        place,
        `two of spec.hosts end in ${label}`,
        'rename one of these targets: the end of its name tells the hosts apart',
      );
      return [];
    }
    labels.add(label);
    const whole = values === 'one' && index === 0;
    const name = whole ? metadata.name : `${metadata.name}/${label}`;
    const former = values === 'one' ? movedFrom : movedFrom && `${movedFrom}/${label}`;
    const moved = former === undefined || (values === 'one' && !whole) ? {} : { movedFrom: former };
    return [
      {
        family: metadata.name,
        ...(values === 'one' && !whole ? { part: true as const } : {}),
        document: {
          ...document,
          subject: name,
          at: (pointer) => document.at(pointer === '/spec/target' ? place : pointer),
        },
        written: {
          ...written,
          metadata: { ...metadata, name },
          spec: { ...common, ...(whole ? { hosts } : {}), ...moved, target },
        },
      },
    ];
  });
}

/** Names of the secrets that a document declares, right or wrong. */
export function secretNames({ subject, value }: ManifestDocument): string[] {
  const { hosts, values } =
    (value as { spec?: { hosts?: unknown; values?: unknown } | null } | null)?.spec ?? {};
  if (!Array.isArray(hosts) || values === 'one') return [subject];
  return hosts.filter((host) => typeof host === 'string').map((host) => `${subject}/${hostLabel(host)}`);
}
