// @ts-check

/**
 * A bar on stderr, where that is a terminal and cli-progress is installed, an optional peer dependency.
 * @param {boolean} show
 */
export async function progressBar(show) {
  if (!show || !process.stderr.isTTY) return undefined;
  const library = await import('cli-progress').catch((error) => {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  });
  if (!library) return undefined;
  return new library.default.SingleBar({
    stream: process.stderr,
    format: '{bar} {percentage} % of {total} rows · mean loss {loss} · {eta_formatted} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    gracefulExit: false, // main.mjs has a signal handler of its own
  });
}
