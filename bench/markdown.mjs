// @ts-check

/** Names to the left, figures to the right. @param {string[]} head @param {string[][]} rows @param {string} figures */
export const markdownTable = (head, rows, figures = '--:') =>
  [head, head.map((_, i) => (i === 0 ? '---' : figures)), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
