/** What is adopted must be what the secret rotates. */
import type { Context } from '../rules.ts';
import { initialKey } from '../values.ts';

const words = {
  password: 'the existing password',
  privateKey: 'the existing private key',
  secretAccessKey: 'the secret part of the existing access key',
  clientSecret: 'the existing client secret',
} as const;

export function initialValue({ secrets, problems }: Context): void {
  for (const { document, model, written } of secrets.values()) {
    const { initial } = written.spec;
    if (initial === undefined) continue;
    const wanted = initialKey(model);
    if (initial[wanted] === undefined) {
      problems.add(
        document.at('/spec/initial'),
        model.name,
        `spec.initial lacks ${wanted}`,
        `add ${wanted}: ${words[wanted]}, by reference`,
      );
      continue;
    }
    for (const other of ['password', 'privateKey', 'secretAccessKey', 'clientSecret'] as const)
      if (other !== wanted && initial[other] !== undefined)
        problems.add(
          document.at(`/spec/initial/${other}`),
          model.name,
          `spec.initial.${other} is not what this secret rotates`,
          'remove it',
        );
  }
}
