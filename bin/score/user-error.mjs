// @ts-check

/** What the user can put right: shown as one line, without a stack trace. */
export class UserError extends Error {}

/**
 * What to throw when a file cannot be used; errors that are not of the file system are left alone.
 * @param {string} path
 * @param {'read' | 'written' | 'removed'} done
 * @param {unknown} error
 */
export function fileError(path, done, error) {
  const { code, syscall, message } = /** @type {NodeJS.ErrnoException} */ (error);
  if (syscall === undefined) return error;
  const [, reason] = /^\w+: (.+?),/.exec(message) ?? [];
  return new UserError(`${path} cannot be ${done}${reason ? `: ${reason}` : ''} (${code})`);
}

/**
 * @param {string} path
 * @param {unknown} error
 */
export function readError(path, error) {
  if (error instanceof UserError) return new UserError(`${path} ${error.message}`);
  return fileError(path, 'read', error);
}
