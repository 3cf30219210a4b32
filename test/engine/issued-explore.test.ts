/** Values that the target makes: the real engine, crashed and interrupted at every effect. */
import { explore } from './exploration.ts';
import { mutants } from './issued-mutants.ts';
import type { IssuerRules } from './issuer.ts';
import { day } from './schedules.ts';
import { type Setup, setup } from './world.ts';

const of = (rules: Partial<IssuerRules>, change: Partial<Setup> = {}): Setup =>
  setup({ grace: day, ...change, issues: { graceful: false, exclusive: false, foreign: false, ...rules } });

const setups: Record<string, Setup> = {
  'grace, by the target': of({}),
  'grace, by the account': of({}, { authenticateAs: 'user' }),
  'no grace, by the target': of({}, { grace: 0 }),
  'graceful, by the target': of({ graceful: true }, { grace: 0 }),
  'graceful, exclusive, by the account': of(
    { graceful: true, exclusive: true },
    { authenticateAs: 'user', grace: 0 },
  ),
  'exclusive, an unknown key': of({ exclusive: true, foreign: true }),
  'a foreign key': of({ foreign: true }),
  'two secrets': of({}, { secrets: 2 }),
  'two secrets, exclusive, an unknown key': of({ exclusive: true, foreign: true }, { secrets: 2 }),
  'two secrets, no grace, by the account': of({}, { secrets: 2, grace: 0, authenticateAs: 'user' }),
};

explore({
  ...{ setups, mutants, least: 5 },
  busy: { runs: 5, sideBySide: 2, faults: 4, switches: 20, jumps: 4, months: 2 },
});
