/** Every place where the engine can die, and how it is reached. */
export const pushed = (step: string): string[] => [
  `${step}.beforeCommit`,
  `${step}.push.beforeSend`,
  `${step}.push.afterApply`,
  `${step}.afterPush`,
];

/** Places between two instructions of a driver: the proxy strikes there, see `kill-proxy.ts`. */
export const wire = { 'set.beforeSend': 'before', 'set.afterSend': 'after' } as const;

export const isWire = (name: string): name is keyof typeof wire => name in wire;

/** In one rotation. */
export const rotation: readonly string[] = [
  ...pushed('claim'),
  'fence.after',
  'set.beforeConnect',
  'set.beforeSend',
  'set.afterSend',
  'set.afterAck',
  'verify.before',
  ...pushed('promote'),
];

/** A rotation that died at the first place, and a recovery that died at the second. */
export const recovery: readonly (readonly [string, string])[] = [
  ['set.afterAck', 'takeover.beforeCommit'],
  ['set.afterSend', 'takeover.push.beforeSend'],
  ['set.beforeSend', 'takeover.push.afterApply'],
  ['claim.afterPush', 'takeover.afterPush'],
  ['set.beforeConnect', 'fence.after'],
  ['set.beforeConnect', 'set.beforeSend'],
  ['fence.after', 'set.afterSend'],
  ['set.beforeSend', 'set.afterAck'],
  ['set.afterSend', 'promote.push.beforeSend'],
  ['verify.before', 'promote.push.afterApply'],
];

export const adoption: readonly string[] = pushed('adopt');
export const rekeying: readonly string[] = pushed('rekey');
export const retirement: readonly string[] = ['retire.before', 'retire.afterTarget', ...pushed('retire')];

/** Of a value that the target makes; `victim` is what an earlier death left there. */
export const issuing: readonly string[] = [
  ...pushed('claim'),
  'fence.after',
  'create.beforeSend',
  'create.afterReply',
  'create.beforeSpool',
  'create.afterSpool',
  'issued.beforePush',
  'issued.push.beforeSend',
  'issued.push.afterApply',
  'issued.afterPush',
  'victim.beforeCommit',
  'victim.push.beforeSend',
  'victim.push.afterApply',
  'victim.afterPush',
  'victim.afterDisable',
  'victim.afterDelete',
  'verify.before',
  'verify.after',
  ...pushed('promote'),
];

/** Of a value that stands in a slot of the target. */
export const renewing: readonly string[] = [
  ...pushed('claim'),
  'fence.after',
  'set.beforeConnect',
  'set.beforeSend',
  'set.afterSend',
  'set.afterAck',
  'verify.before',
  'verify.after',
  ...pushed('promote'),
];
