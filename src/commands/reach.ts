/** What a target answers to `keyturn doctor`: reach, login and privileges. Nothing is changed there. */
import { currentLogin } from '../engine/begin-issued.ts';
import { placesOf } from '../engine/hosts.ts';
import { changesItself, keyed } from '../engine/prepare.ts';
import { recordNamed, routeTo, targetCredentials } from '../engine/world.ts';
import type { Desired, RotatedSecret, Target } from '../manifests/model.ts';
import type { Session } from '../run.ts';
import type { ChosenDriver, Credentials } from '../targets/driver.ts';
import type { IssuedDriver, IssuedJob, Privileges } from '../targets/issued.ts';
import type { SlotDriver } from '../targets/slots.ts';
import { type Finding, problems } from './finding.ts';

export async function reach(target: Target, desired: Desired, session: Session): Promise<Finding[]> {
  const subject = target.name;
  const secrets = [...desired.secrets.values()].filter((secret) => placesOf(secret).includes(target.name));
  try {
    const { world } = session;
    const login = await targetCredentials(world, desired, target);
    if (login.r === 'unresolved')
      return [{ subject, level: 'warning', what: login.reason, fix: 'run keyturn apply' }];
    if (secrets.length === 0)
      return [{ subject, level: 'warning', what: 'no secret names it: not tried', fix: null }];
    // of one target several kinds of things may be rotated, each with its own driver
    const findings: Finding[] = [];
    for (const group of Map.groupBy(secrets, ({ rotator }) => driverKey(target, rotator)).values()) {
      const driver = await world.driver(target.type, group[0]?.rotator);
      const { credentials } = login;
      if (driver.machine === 'slots') findings.push(...(await ofSlots(target, group, driver, credentials)));
      else if (driver.machine === 'issued')
        findings.push(...(await privileges(target, group, driver, credentials, desired, session)));
      else findings.push(...(await oneOf(target, group, driver, credentials, desired, session)));
    }
    return findings;
  } catch (error) {
    return problems(subject, error);
  }
}

const driverKey = ({ azure }: Target, rotator: RotatedSecret['rotator']): string =>
  azure && rotator === 'password' ? 'user' : '';

/** The preflight of one secret that the target itself sets, without its value. */
async function oneOf(
  target: Target,
  secrets: readonly RotatedSecret[],
  driver: ChosenDriver,
  admin: Credentials | undefined,
  desired: Desired,
  { world }: Session,
): Promise<Finding[]> {
  const subject = target.name;
  const secret = secrets.find((one) => one.authenticateAs === 'target' && one.rotator !== 'target');
  if (secret === undefined)
    return [
      { subject, level: 'warning', what: 'no secret is set with its credentials: not tried', fix: null },
    ];
  const { route } = await routeTo(world, desired, target);
  const rotator = driver.rotator({
    target,
    username: secret.account.usernames[0],
    host: secret.account.host,
    account: secret.account,
    actor: 'target',
    admin,
    current: undefined,
    retain: false,
    mark: { uid: 'doctor', version: 1 },
    ...keyed(secret),
    ...route,
  });
  const found = await rotator.preflight().finally(() => rotator.close());
  if (found.r !== 'ready')
    return [
      { subject, level: 'problem', what: found.detail, fix: found.r === 'refused' ? found.hint : null },
    ];
  return [
    { subject, level: 'ok', what: `${found.server}: its credentials may set ${secret.name}`, fix: null },
    ...found.warnings.map((what): Finding => ({ subject, level: 'warning', what, fix: null })),
  ];
}

/** Of slots every secret reads its own. */
async function ofSlots(
  target: Target,
  secrets: readonly RotatedSecret[],
  driver: SlotDriver,
  admin: Credentials | undefined,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name: subject, account } of secrets) {
    const job = { target, admin, account };
    const rotator = driver.rotator(job);
    const found = await rotator.read().finally(() => rotator.close());
    if (found.r !== 'read') {
      findings.push({
        subject,
        level: 'problem',
        what: found.detail,
        fix: found.r === 'refused' ? found.hint : null,
      });
      continue;
    }
    findings.push({ subject, level: 'ok', what: found.server, fix: null });
    findings.push(
      ...lacking(
        subject,
        `the credentials of ${target.name}`,
        await driver.missingPrivileges(job),
        target.name,
      ),
    );
  }
  const what = `the least that it needs: ${driver.leastPrivileges(target)}`;
  return [...findings, { subject: target.name, level: 'ok', what, fix: null }];
}

/** Of every secret whose values the target makes, by the login that its rotation will use. */
async function privileges(
  target: Target,
  secrets: readonly RotatedSecret[],
  driver: IssuedDriver,
  admin: Credentials | undefined,
  desired: Desired,
  { world }: Session,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const secret of secrets) {
    const actor = changesItself(secret) ? 'self' : 'target';
    const record = recordNamed(world, desired, secret.name);
    const login = actor === 'self' && record ? await currentLogin(record, world) : undefined;
    if (actor === 'self' && login === undefined) {
      const what = 'has no key yet with which to ask what it may do';
      findings.push({ subject: secret.name, level: 'warning', what, fix: null });
      continue;
    }
    const [username] = secret.account.usernames;
    findings.push(...(await ofSecret(secret.name, driver, { target, username, actor, admin, login })));
  }
  const modes = new Set(secrets.map((secret) => (changesItself(secret) ? 'user' : 'target')));
  for (const mode of modes) {
    const usernames = secrets
      .filter((secret) => (changesItself(secret) ? 'user' : 'target') === mode)
      .map(({ account }) => account.usernames[0]);
    findings.push({
      subject: target.name,
      level: 'ok',
      what: `the least that authenticateAs: ${mode} needs: ${driver.leastPrivileges(mode, target, usernames)}`,
      fix: null,
    });
  }
  return findings;
}

async function ofSecret(subject: string, driver: IssuedDriver, job: IssuedJob): Promise<Finding[]> {
  const rotator = driver.rotator(job);
  const found = await rotator.preflight().finally(() => rotator.close());
  if (found.r !== 'ready')
    return [
      { subject, level: 'problem', what: found.detail, fix: found.r === 'refused' ? found.hint : null },
    ];
  const by = job.actor === 'self' ? 'the account itself' : `the credentials of ${job.target.name}`;
  return [
    { subject, level: 'ok', what: found.server, fix: null },
    ...found.warnings.map((what): Finding => ({ subject, level: 'warning', what, fix: null })),
    ...lacking(subject, by, await driver.missingPrivileges(job), job.username),
  ];
}

function lacking(subject: string, by: string, { missing, unknown }: Privileges, on: string): Finding[] {
  return [
    ...missing.map(
      (permission): Finding => ({
        subject,
        level: 'problem',
        what: `${by} may not ${permission}`,
        fix: `allow ${permission} on ${on}`,
      }),
    ),
    ...(unknown.length === 0
      ? []
      : [
          {
            subject,
            level: 'warning' as const,
            what: `whether ${by} may ${unknown.join(', ')} only a rotation shows`,
            fix: null,
          },
        ]),
  ];
}
