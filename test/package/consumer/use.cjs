// CommonJS: prints the backend, and a hash of what it computed.

const { crossEntropy, backend } = require('smoothloss');
const { report } = require('./report.cjs');

report(crossEntropy, backend);
