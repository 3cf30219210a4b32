/** What a secret is by the type of its target: its rotator, how its values come and go, how one is proven. */
import { clientSecrets } from './azure.ts';
import { durationOf as ms } from './durations.ts';
import type { KeyPolicy, RotatedSecret, Rotator, Target } from './model.ts';
import type { WrittenDefaults, WrittenSecret } from './written.ts';

const usual: Partial<Record<Target['type'], Rotator>> = {
  aws: 'api-key',
  azure: 'api-key',
  'azure-storage': 'storage-key',
  web: 'custom',
};

export const rotatorOf = ({ spec }: WrittenSecret, target: Target | undefined): Rotator =>
  spec.rotator ?? usual[target?.type ?? 'mysql'] ?? 'password';

/** Of what the target makes and shows once, and of nothing else. */
export function toKeys(
  { spec }: WrittenSecret,
  target: Target | undefined,
  rotator: Rotator,
): { keys?: KeyPolicy } {
  if (target?.type === 'aws') return { keys: accessKeys(spec) };
  const issued = target?.type === 'azure' && rotator !== 'password';
  return issued ? { keys: clientSecrets(spec.graceful ?? false) } : {};
}

const accessKeys = (spec: WrittenSecret['spec']): KeyPolicy => ({
  graceful: spec.graceful ?? false,
  exclusive: spec.exclusive ?? false,
  deleteAfter: ms(spec.deleteAfter ?? '7d'),
  stillInUseWindow: ms(spec.stillInUseWindow ?? '24h'),
  stillInUse: spec.stillInUse ?? 'warn',
});

type Verify = WrittenDefaults['verify'];

/** How often is the project's where the secret says only how. */
export function toVerify(own: Verify, common: Verify): Pick<RotatedSecret, 'verifyEvery' | 'verifyBy'> {
  const everyOf = (verify: Verify) => (typeof verify === 'object' ? verify.every : undefined);
  const every = everyOf(own) ?? everyOf(common);
  const by = own === 'ropc' || (typeof own === 'object' && own.by === 'ropc');
  return {
    verifyEvery: every === undefined ? undefined : ms(every),
    ...(by ? { verifyBy: 'ropc' as const } : {}),
  };
}
