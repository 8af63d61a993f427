// Computes batches of every loss and prints `<backend> <digest of the results' bits>`, then the reason for the backend if
// there is one. Uses nothing of Node's: it runs in browsers too.

/** FNV-1a of the bytes. */
function digest(arrays) {
  let hash = 0x811c9dc5;
  for (const { buffer } of arrays) {
    for (const byte of new Uint8Array(buffer)) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

exports.report = async (smoothloss, promises, print = console.log) => {
  const { backend, bceWithLogits, crossEntropy, klDiv, nllLoss, smoothLabels } = smoothloss;
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
  const smoothed = smoothLabels(targets, { classes, labelSmoothing: 0.1 });
  const losses = Float64Array.from(results, ({ loss }) => loss);
  const bits = digest([losses, ...results.map(({ gradient }) => gradient), smoothed]);
  print([`${backend.name} ${bits}`, ...(backend.reason ? [backend.reason] : [])].join('\n'));
};
