// @ts-check
import cliProgress from 'cli-progress';

/**
 * A bar on stderr, where that is a terminal.
 * @param {{ rows: number, start: number, show: boolean }} options
 */
export function scoringProgress({ rows, start, show }) {
  if (!show || !process.stderr.isTTY) return undefined;
  const bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: '{bar} {percentage} % of {total} rows · mean loss {loss} · {eta_formatted} left',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    gracefulExit: false, // score.mjs has a signal handler of its own
  });
  bar.start(rows, start, { loss: '–' });
  return bar;
}
