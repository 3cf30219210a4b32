/** Values that the target keeps in slots: the real engine, crashed and interrupted at every effect. */
import { explore } from './exploration.ts';
import { mutants } from './slots-mutants.ts';
import { type Setup, setup } from './world.ts';

const setups: Record<string, Setup> = {
  'one slot': setup({ slots: { pair: false, lags: false } }),
  'a pair': setup({ slots: { pair: true, lags: false } }),
  'one slot, shown late': setup({ slots: { pair: false, lags: true } }),
  'a pair, shown late': setup({ slots: { pair: true, lags: true } }),
  'one slot, new here': setup({ slots: { pair: false, lags: false }, adopted: false }),
  'a pair, new here': setup({ slots: { pair: true, lags: false }, adopted: false }),
};

explore({
  ...{ setups, mutants, least: 5 },
  busy: { runs: 5, sideBySide: 2, faults: 4, switches: 20, jumps: 4, months: 2 },
});
