import { Writable } from 'node:stream';
import type { Clock } from '../../src/clock.ts';
import type { Action, Plan, Result } from '../../src/engine/model.ts';
import { type Console, createConsole } from '../../src/output/console.ts';

export function action(over: Partial<Action> & Pick<Action, 'verb' | 'secret'>): Action {
  return { uid: '', target: 'prod/mysql', from: null, to: null, why: null, reason: '', ...over };
}

/** The plan printed in the design. */
export const designPlan: Plan = {
  format: 1,
  project: 'acme-secrets',
  serial: 41,
  head: '1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d',
  at: '2026-11-20T12:00:00.000Z',
  groups: [
    {
      target: 'prod/mysql',
      label: 'mysql, db.internal:3306',
      warnings: [],
      actions: [
        action({
          verb: 'rotate',
          secret: 'prod/mysql/reporting',
          from: 7,
          to: 8,
          why: 'due',
          reason: 'due 3d ago (every 30d at 03:00 Europe/Berlin), old valid 24h more',
        }),
        action({ verb: 'retire', secret: 'prod/mysql/billing', from: 4, reason: 'grace of 24h is over' }),
      ],
    },
    {
      target: 'prod/aws',
      label: 'aws, 123456789012',
      warnings: [],
      actions: [
        action({
          verb: 'resume',
          secret: 'prod/aws/deployer',
          target: 'prod/aws',
          from: 12,
          to: 12,
          reason: 'interrupted 2h ago after the key was created',
        }),
        action({
          verb: 'hold',
          secret: 'prod/aws/legacy',
          target: 'prod/aws',
          from: 3,
          reason: 'manual only',
        }),
        action({
          verb: 'rekey',
          secret: 'prod/aws/ci',
          target: 'prod/aws',
          from: 2,
          reason: 'reader added: bob',
        }),
        action({
          verb: 'rotate',
          secret: 'prod/aws/backup',
          target: 'prod/aws',
          from: 3,
          to: 4,
          why: 'reader-removed',
          reason: 'reader removed: carol',
        }),
      ],
    },
  ],
  unchanged: 12,
  nextDue: '2026-12-01T03:00:00.000Z',
  unsafe: [],
  checksum: `sha256:3fa91c02${'0'.repeat(56)}`,
};

export const emptyPlan: Plan = { ...designPlan, groups: [] };

export function result(over: Partial<Result>): Result {
  return {
    secret: 'prod/mysql/reporting',
    target: 'prod/mysql',
    verb: 'rotate',
    outcome: 'done',
    version: 8,
    detail: '',
    hint: null,
    left: 'changed',
    ...over,
  };
}

/** Everything written to it, in order. */
export class Captured extends Writable {
  readonly isTTY: boolean;
  readonly columns = 80;
  readonly rows = 24;
  text = '';

  constructor(isTTY = false) {
    super({ decodeStrings: false });
    this.isTTY = isTTY;
  }

  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

export interface Capture {
  console: Console;
  stdout: Captured;
  stderr: Captured;
}

export function capture(
  setup: { env?: Record<string, string>; tty?: boolean; quiet?: boolean; json?: boolean } = {},
): Capture {
  const stdout = new Captured(setup.tty);
  const stderr = new Captured(setup.tty);
  const { env = {}, quiet = false, json = false } = setup;
  return { console: createConsole({ stdout, stderr, env, quiet, json }), stdout, stderr };
}

/** Starts at 12:03:04Z; every reading is a second later than the one before. */
export function tickingClock(): Clock {
  let time = Date.parse('2026-11-20T12:03:03Z');
  return {
    now: () => {
      time += 1000;
      return new Date(time);
    },
    monotonic: () => time,
    sleep: () => Promise.resolve(),
  };
}

/** Anything that a terminal would act on; line breaks are allowed. */
export const terminalActive = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
