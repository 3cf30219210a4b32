/** Where notifications go: as written, as modelled, and the references to values in them. */
import { parseDuration } from './durations.ts';
import type { Channel, Notify, NotifyEvent, ValueRef } from './model.ts';
import { notifyEvents } from './model.ts';
import type { WrittenChannel, WrittenDefaults, WrittenProject } from './written.ts';

const keys = ['url', 'signingKey', 'from', 'to', 'token', 'repository'] as const;
type Key = (typeof keys)[number];

const needs: Record<Channel['type'], readonly Key[]> = {
  webhook: ['url'],
  slack: ['url'],
  teams: ['url'],
  email: ['url', 'from', 'to'],
  'github-issue': ['token'],
  annotation: [],
};

const takes: Record<Channel['type'], readonly Key[]> = {
  ...needs,
  webhook: ['url', 'signingKey'],
  'github-issue': ['token', 'repository'],
};

/** Keys that a channel of this type lacks, and those that mean nothing there. */
export function misfits(written: WrittenChannel): { missing: Key[]; foreign: Key[] } {
  return {
    missing: needs[written.type].filter((key) => written[key] === undefined),
    foreign: keys.filter((key) => written[key] !== undefined && !takes[written.type].includes(key)),
  };
}

/** Channels that lack something are left out: a rule has said so. */
export const channelsOf = (written: Record<string, WrittenChannel>): Record<string, Channel> =>
  Object.fromEntries(
    Object.entries(written).flatMap(([name, channel]): [string, Channel][] => {
      const made = toChannel(channel);
      return made ? [[name, made]] : [];
    }),
  );

function toChannel(written: WrittenChannel): Channel | null {
  const { type, url, signingKey, from, to, token, repository } = written;
  switch (type) {
    case 'webhook':
      return url ? { type, url, signingKey } : null;
    case 'slack':
    case 'teams':
      return url ? { type, url } : null;
    case 'email':
      return url && from !== undefined && to ? { type, url, from, to } : null;
    case 'github-issue':
      return token ? { type, token, repository } : null;
    case 'annotation':
      return { type };
  }
}

/** Every reference to a value in a channel, with its key. */
const channelValues = ({ url, signingKey, token }: WrittenChannel): [Key, ValueRef][] =>
  (
    [
      ['url', url],
      ['signingKey', signingKey],
      ['token', token],
    ] as const
  ).flatMap(([key, ref]): [Key, ValueRef][] => (ref ? [[key, ref]] : []));

/** Every reference to a value in keyturn.yaml, with the JSON pointer of where it stands. */
export const projectValues = ({ spec }: WrittenProject): [string, ValueRef][] => [
  ...Object.entries(spec.channels ?? {}).flatMap(([name, channel]) =>
    channelValues(channel).map(([key, ref]): [string, ValueRef] => [`/spec/channels/${name}/${key}`, ref]),
  ),
  ...(spec.heartbeat === undefined
    ? []
    : [['/spec/heartbeat/url', spec.heartbeat.url] as [string, ValueRef]]),
];

/** Without `on`, every event is told. */
export function toNotify({ before, on, channels }: NonNullable<WrittenDefaults['notify']>): Notify {
  return {
    before: (before ?? []).map((word) => parseDuration(word) ?? 0),
    events:
      on === undefined ? [...notifyEvents] : notifyEvents.filter((event: NotifyEvent) => on.includes(event)),
    channels: channels ?? [],
  };
}
