/** A notice in words, the same for every channel. No value ever gets near here: a record has none. */
import type { NoticeEvent } from '../../state/model.ts';
import { cleanLine } from '../clean.ts';

export interface Message {
  /** The same for every attempt to deliver it, and for no other message. */
  id: string;
  event: NoticeEvent;
  project: string;
  secret: string;
  /** The record's, which a renamed secret keeps. */
  uid: string;
  target: string;
  version: number | null;
  /** ISO time at which it became news. */
  at: string;
  /** `prod/mysql/reporting: rotated, now v8`. */
  title: string;
  /** A sentence or two: what happened, what to do. */
  text: string;
  facts: Readonly<Record<string, string>>;
  /** Whether somebody should look. */
  level: 'info' | 'warning';
}

type Facts = Omit<Message, 'title' | 'text' | 'level'>;

export function messageOf(facts: Facts): Message {
  const [what, text] = wordsOf(facts);
  const { event } = facts;
  return {
    ...facts,
    title: cleanLine(`${facts.secret}: ${what}`),
    text: cleanLine(text),
    level: event === 'rotated' || event === 'before' ? 'info' : 'warning',
  };
}

function wordsOf({ event, secret, version, facts }: Facts): [what: string, text: string] {
  const v = version === null ? '' : ` v${version}`;
  const failure = `${facts.step} failed (${facts.class}, ${facts.code})`;
  switch (event) {
    case 'before':
      return [
        `rotates at ${minute(facts.due)}`,
        `It is rotated at ${minute(facts.due)}; whoever keeps a copy of${v} should be ready to read the new version.`,
      ];
    case 'rotated':
      return [`rotated, now${v}`, `A new version is current (${facts.why}). keyturn get ${secret} reads it.`];
    case 'failed':
      return [`${facts.step} failed`, `${failure}. It is tried again; keyturn plan says when.`];
    case 'blocked':
      return [
        'needs a person',
        facts.reason === undefined
          ? `${facts.class === undefined ? `${facts.step} was refused` : failure}. keyturn plan says what to do.`
          : `${facts.reason}.`,
      ];
    case 'overdue':
      return [
        `overdue since ${minute(facts.due)}`,
        `It should have been rotated at ${minute(facts.due)}. keyturn plan says what it waits for.`,
      ];
    case 'drift':
      return [
        'changed by somebody else',
        `The target does not accept${v} any more. keyturn reconcile ${secret} sets a new value, keyturn adopt ${secret} takes the one that is live.`,
      ];
    case 'foreign-key':
      return [
        'a key that keyturn did not make',
        `The account holds ${facts.keys}, and no place is left for a new one. Nothing was removed; find out whose it is, then remove it at the target.`,
      ];
    case 'reader-removed':
      return ['a reader was removed', `${facts.reason}. It is rotated, because they know${v}.`];
  }
}

/** `2026-12-01 03:00 UTC`. */
const minute = (iso: string | undefined): string =>
  iso === undefined ? 'an unknown time' : `${iso.slice(0, 16).replace('T', ' ')} UTC`;
