// Computes batches of every loss and prints `<backend> <hash of the results' bits>`, then the reason for the backend if
// there is one.

const { createHash } = require('node:crypto');

exports.report = async ({ backend, bceWithLogits, crossEntropy, klDiv, nllLoss, smoothLabels }, promises) => {
  const rows = 5;
  const classes = 1033;
  const logits = Float32Array.from({ length: rows * classes }, (_, i) => ((i * 7919) % 2003) / 100 - 10);
  const halves = Uint16Array.from({ length: rows * classes }, (_, i) => 0x3c00 + ((i * 7919) % 2003));
  const soft = Float32Array.from({ length: rows * classes }, (_, i) => (i % 7) / 3000);
  const targets = Int32Array.from({ length: rows }, (_, row) => row * 200);
  const options = { classes, gradient: true };
  const results = [
    crossEntropy(logits, targets, { ...options, labelSmoothing: 0.1 }),
    crossEntropy(halves, soft, { ...options, dtype: 'bfloat16' }),
    bceWithLogits(logits, soft, options),
    klDiv(logits, soft, options),
    nllLoss(logits, { a: targets, b: targets.toReversed(), lambda: 0.3 }, options),
    await promises.crossEntropy(logits, targets, { ...options, threads: 3 }),
  ];
  const hash = createHash('sha256');
  for (const { loss, gradient } of results) hash.update(String(loss)).update(new Uint8Array(gradient.buffer));
  const smoothed = smoothLabels(targets, { classes, labelSmoothing: 0.1 });
  hash.update(new Uint8Array(smoothed.buffer));
  console.log(`${backend.name} ${hash.digest('hex')}`);
  if (backend.reason) console.log(backend.reason);
};
