// CommonJS: prints the backend, and a digest of what it computed.

const smoothloss = require('smoothloss');
const { report } = require('./report.cjs');

report(smoothloss, require('smoothloss/promises'));
