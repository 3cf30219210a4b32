/** Everything but rotations: adopt what exists, retire what is over, re-encrypt for changed readers, look for drift. No claim needed. */
import pLimit from 'p-limit';
import { KeyturnError } from '../errors.ts';
import type { Desired } from '../manifests/model.ts';
import { Secret } from '../secret.ts';
import type { Change } from '../state/ledger.ts';
import { adopt } from './adopt.ts';
import { check } from './check.ts';
import { base } from './conclude.ts';
import type { Action, Result } from './model.ts';
import { rekey } from './rekey.ts';
import { retire } from './retire.ts';
import { failureResult } from './trouble.ts';
import type { World } from './world.ts';

export interface Done {
  action: Action;
  change: Change | null;
  result: Result;
}

export async function upkeep(actions: readonly Action[], desired: Desired, world: World): Promise<Result[]> {
  const results: Result[] = [];
  for (const round of rounds(actions)) results.push(...(await together(round, desired, world)));
  return results;
}

/** One push changes a record once: a second action on the same secret waits for the first. */
function rounds(actions: readonly Action[]): Action[][] {
  const made: Action[][] = [];
  for (const action of actions) {
    const free = made.find((round) => round.every((other) => other.secret !== action.secret));
    if (free) free.push(action);
    else made.push([action]);
  }
  return made;
}

async function together(actions: readonly Action[], desired: Desired, world: World): Promise<Result[]> {
  const limit = pLimit(8);
  const done = await Promise.all(actions.map((action) => limit(() => one(action, desired, world))));
  const changes = done.flatMap(({ change }) => (change ? [change] : []));
  if (changes.length === 0) return done.map(({ result }) => result);
  const verbs = [...new Set(done.filter((d) => d.change).map((d) => d.action.verb))];
  const subject = `keyturn: ${verbs.join(', ')} ${changes.length === 1 ? changes[0]?.name : `${changes.length} secrets`}`;
  for (const verb of verbs) await world.failpoint(`${verb}.beforeCommit`);
  const outcome = await world.ledger.commit(changes, subject, [], verbs);
  for (const verb of verbs) await world.failpoint(`${verb}.afterPush`);
  if (outcome.r === 'committed') {
    const secrets = changes.filter((change) => !outcome.lost.includes(change)).map((change) => change.name);
    world.emit({ kind: 'pushed', subject, serial: outcome.serial, commit: outcome.commit, secrets });
  }
  return done.map(({ change, result }): Result => {
    if (!change || result.outcome !== 'done') return result;
    if (outcome.r !== 'committed')
      return {
        ...result,
        outcome: outcome.r === 'refused' ? 'failed' : 'waiting',
        detail: `could not be pushed: ${outcome.detail}`,
      };
    return outcome.lost.includes(change)
      ? { ...result, outcome: 'waiting', detail: 'another run changed it meanwhile' }
      : result;
  });
}

async function one(action: Action, desired: Desired, world: World): Promise<Done> {
  const secret = desired.secrets.get(action.secret);
  if (!secret)
    return { action, change: null, result: { ...base(action), outcome: 'skipped', detail: 'no manifest' } };
  try {
    switch (action.verb) {
      case 'adopt': {
        if (secret.rotator === 'storage-key')
          return await adopt(action, secret, new Secret(''), undefined, desired, world);
        if (!secret.initial) throw new Error('adopt without an initial value');
        const { password, username } = secret.initial;
        if ('secret' in password)
          throw new KeyturnError(
            secret.name,
            'initial names another rotated secret, which is bound to its own place',
            {
              hint: `pipe the value into keyturn adopt ${secret.name}, or refer to it by env, file or sealed`,
            },
          );
        return await adopt(
          action,
          secret,
          await world.resolve(password, secret.name),
          username,
          desired,
          world,
        );
      }
      case 'retire':
        return await retire(action, secret, desired, world);
      case 'rekey':
        return await rekey(action, secret, desired, world);
      case 'verify':
        return await check(action, secret, desired, world);
      default:
        throw new Error(`${action.verb} is no upkeep`);
    }
  } catch (error) {
    return { action, change: null, result: failureResult(action, error) };
  }
}
