import { describe, expect, it } from 'vitest';
import type { Table } from '../conformance/table.js';
import { itNative } from './native.js';

/** The tables of conformance/, one test for each case. */
export function suite(tables: readonly Table[]): void {
  for (const { name, cases } of tables) {
    describe(name, () => {
      for (const { name, run } of cases) it(name, run);
      if (cases.length === 0) itNative('needs the native addon', () => expect.fail('there are no cases'));
    });
  }
}
