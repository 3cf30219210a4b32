/** `keyturn doctor`: what a run would stumble over, each with its fix. Reads only: no value is tried, nothing is written. */

import { projectRoot } from '../here.ts';
import { loadManifests } from '../manifests/load.ts';
import type { Target } from '../manifests/model.ts';
import { renderJson } from '../output/json.ts';
import { loadIdentity } from '../state/identity.ts';
import { readHostKey } from '../targets/ssh/connect.ts';
import { SshFailure } from '../targets/ssh/failure.ts';
import { type Command, type Context, quietSession } from './context.ts';
import { type Finding, problems } from './finding.ts';
import { reach } from './reach.ts';

const timeout = 10_000;

/** Exit 1 where there is a problem. `ssh`: only shows the key of that host, for a manifest that is yet to be written. */
export const doctor: Command<[{ ssh?: string }]> = async (context, { ssh }) => {
  const findings = ssh === undefined ? await examine(context) : [await showHostKey(ssh)];
  const signs = { ok: 'ok', warning: '! ', problem: 'x ' };
  if (context.json) context.console.data(renderJson(findings));
  else
    for (const { level, subject, what, fix } of findings) {
      context.console.data(`${signs[level]}  ${subject}: ${what}`);
      if (fix !== null) context.console.data(`    fix: ${fix}`);
    }
  return findings.some(({ level }) => level === 'problem') ? 1 : 0;
};

async function examine(context: Context): Promise<Finding[]> {
  const { host } = context;
  const findings: Finding[] = [];
  const attempt = async <T>(subject: string, work: () => Promise<[T, string]>): Promise<T | undefined> => {
    try {
      const [result, what] = await work();
      findings.push({ subject, level: 'ok', what, fix: null });
      return result;
    } catch (error) {
      findings.push(...problems(subject, error));
      return undefined;
    }
  };
  const desired = await attempt('manifests', async () => {
    const loaded = await loadManifests(projectRoot(host.cwd), { env: host.env });
    return [loaded, `${loaded.targets.size} targets and ${loaded.secrets.size} secrets are valid`];
  });
  await attempt('identity', async () => {
    const file = context.identity === undefined ? {} : { file: context.identity };
    const identity = await loadIdentity({ ...file, env: host.env, home: host.home });
    return [identity, `read from ${identity.source}`];
  });
  const session =
    desired &&
    (await attempt('repository', async () => {
      const opened = await quietSession(context);
      return [
        opened,
        `${opened.repository.place} answers, its state is at serial ${opened.ledger.state.serial}`,
      ];
    }));
  if (desired === undefined) return findings;
  for (const target of desired.targets.values()) {
    findings.push(...(await hostKeys(target)));
    if (session !== undefined) findings.push(...(await reach(target, desired, session)));
  }
  return findings;
}

const keyFix =
  'compare with the host itself (ssh-keygen -lf on its public host key), then write it into hostKeys';

async function showHostKey(written: string): Promise<Finding> {
  const [, host = '', port = '22'] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(written) ?? [];
  const fingerprint = await keyOf({ host, port: Number(port) });
  return fingerprint === undefined
    ? unreachable(written)
    : { subject: written, level: 'ok', what: `shows ${fingerprint}`, fix: keyFix };
}

/** Of the target, or of its jump host, through which alone it may be reachable. */
async function hostKeys(target: Target): Promise<Finding[]> {
  if (target.ssh === undefined) return [];
  const { jump } = target.ssh;
  const pinned = jump?.hostKeys ?? target.ssh.hostKeys;
  const subject = jump === undefined ? target.name : `${target.name} (jump host)`;
  const fingerprint = await keyOf(jump ?? target);
  if (fingerprint === undefined) return [unreachable(subject)];
  if (pinned.includes(fingerprint))
    return [{ subject, level: 'ok', what: `shows the pinned host key ${fingerprint}`, fix: null }];
  return [{ subject, level: 'problem', what: `shows ${fingerprint}, which is not pinned`, fix: keyFix }];
}

async function keyOf({ host, port }: { host: string; port: number }): Promise<string | undefined> {
  try {
    return await readHostKey({ host, port, timeout });
  } catch (error) {
    if (error instanceof SshFailure) return undefined;
    throw error;
  }
}

const unreachable = (subject: string): Finding => ({
  subject,
  level: 'problem',
  what: 'no SSH server answers',
  fix: 'check host, port and firewall; run keyturn where the target is reachable',
});
