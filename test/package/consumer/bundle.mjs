// ES modules for a bundler. In a browser the page is told.

import * as smoothloss from 'smoothloss';
import * as promises from 'smoothloss/promises';
import { report } from './report.cjs';

const { document } = globalThis;
report(smoothloss, promises, document && ((text) => document.body.append(text)));
