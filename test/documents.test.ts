// The promise: what the repository's texts name is there. Links lead somewhere, in the repository and in the package, and
// the commands that they tell to run exist.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { marked, type Tokens } from 'marked';
import { describe, expect, it } from 'vitest';
import { root } from './support/root.js';

const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const manifest = JSON.parse(read('package.json'));
const page = manifest.repository.url.replace(/^git\+|\.git$/g, '');

const GENERATED = [
  '.git',
  'node_modules',
  'build',
  'dist',
  'prebuilds',
  'coverage',
  'examples/libraries/node_modules',
];

/** The files of the repository below a directory, those that git ignores left out. */
function filesOf(directory: string): string[] {
  return readdirSync(path.join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(directory, entry.name);
    if (GENERATED.includes(name)) return [];
    return entry.isDirectory() ? filesOf(name) : entry.isFile() ? [name] : [];
  });
}

const files = filesOf('.');
const documents = files.filter((file) => file.endsWith('.md'));
const packed = (file: string) =>
  /^(package\.json|README\.md|LICENSE)$/.test(file) ||
  manifest.files.some((entry: string) => file === entry || file.startsWith(`${entry}/`));

/** Where links and images lead to. */
function linksOf(file: string): string[] {
  const links: string[] = [];
  marked.walkTokens(marked.lexer(read(file)), (token) => {
    if (token.type === 'link' || token.type === 'image') links.push((token as Tokens.Link).href);
    if (token.type === 'html') {
      links.push(...[...token.raw.matchAll(/\b(?:href|src|srcset)="([^"\s]+)/g)].map(([, link]) => link));
    }
  });
  return links;
}

/** The names that the headings of a document can be linked to by. */
function anchorsOf(file: string): string[] {
  const anchors: string[] = [];
  marked.walkTokens(marked.lexer(read(file)), (token) => {
    if (token.type !== 'heading') return;
    const words = token.text.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '');
    anchors.push(words.replaceAll(' ', '-'));
  });
  return anchors;
}

/** Why a link of a document leads nowhere, if it does. */
function fault(from: string, link: string): string | undefined {
  const own = link.startsWith(`${page}/blob/main/`) ? link.slice(`${page}/blob/main/`.length) : undefined;
  if (own === undefined && /^[a-z]+:/.test(link)) return undefined; // elsewhere
  const [name, anchor] = (own ?? link).split('#');
  const file = own !== undefined ? name : name === '' ? from : path.posix.join(path.dirname(from), name);
  if (name.startsWith('/') || !existsSync(path.join(root, file))) return 'no such file in the repository';
  if (GENERATED.includes(file.split('/')[0])) return 'not in a fresh clone';
  if (anchor !== undefined && !(file.endsWith('.md') && anchorsOf(file).includes(anchor))) {
    return 'no such heading';
  }
  // npm shows the README, and leads its relative links to the repository.
  if (own === undefined && packed(from) && from !== 'README.md' && !packed(file)) {
    return `not in the package: link to ${page}/blob/main/${file}`;
  }
  return undefined;
}

describe('links', () => {
  it('package.json says where the repository is, which npm needs to show what the README links to', () => {
    expect(manifest.repository).toEqual({ type: 'git', url: `git+${page}.git` });
    expect(manifest.homepage).toBe(`${page}#readme`);
    expect(manifest.bugs).toEqual({ url: `${page}/issues` });
  });

  it.each(documents)('of %s lead somewhere, in the package too', (file) => {
    const faults = linksOf(file).map((link) => [link, fault(file, link)]);
    expect(faults.filter(([, reason]) => reason !== undefined)).toEqual([]);
  });

  it('are seen, and so are those that lead nowhere', () => {
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'examples/README.md']));
    expect(documents.flatMap(linksOf).length).toBeGreaterThan(20);
    expect(fault('README.md', 'bench/report/accuracy.svg')).toBeUndefined();
    expect(fault('README.md', 'bench/report/inaccuracy.svg')).toContain('no such file');
    expect(fault('README.md', `${page}/blob/main/bench/nothing.md`)).toContain('no such file');
    expect(fault('README.md', '#no-heading-is-called-this')).toContain('no such heading');
    expect(fault('README.md', 'dist/index.js')).toContain('fresh clone');
    expect(fault('CHANGELOG.md', 'bench/report/README.md')).toContain('not in the package');
  });
});

it('README.md has at most 150 lines, for hurried readers', () => {
  expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(150);
});

describe('commands', () => {
  const texts = files.filter((file) => !/package-lock\.json$|^test\/vectors\/|\.svg$/.test(file));

  it('every script that a text tells to run is in package.json', () => {
    const named = texts.flatMap((file) =>
      [...read(file).matchAll(/\bnpm run (?:-\S+ )*([a-z][\w:-]*)/g)].map(([, script]) => ({ file, script })),
    );
    expect(named.length).toBeGreaterThan(40);
    expect(named.filter(({ script }) => !(script in manifest.scripts))).toEqual([]);
  });

  it('every example with other libraries that a text tells to run is in their package.json', () => {
    const { scripts } = JSON.parse(read('examples/libraries/package.json'));
    const named = texts.flatMap((file) =>
      [...read(file).matchAll(/\bnpm run example (?:-- )?([a-z][\w-]*)/g)].map(([, name]) => ({
        file,
        name,
      })),
    );
    expect(named.length).toBeGreaterThan(4);
    expect(named.filter(({ name }) => !(name in scripts))).toEqual([]);
  });

  it('every program of the repository that a text starts with node is there', () => {
    const named = texts.flatMap((file) =>
      [...read(file).matchAll(/\bnode ((?:scripts|bench|examples)\/[\w./-]+)/g)].map(([, program]) => ({
        file,
        program,
      })),
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter(({ program }) => !existsSync(path.join(root, program)))).toEqual([]);
  });
});

describe('docs/architecture.md', () => {
  const page = read('docs/architecture.md');
  const ofCode = files.filter((file) => /^(lib|native)\/.*\.(m?ts|h|cc)$/.test(file));
  const codeOf = (file: string) => read(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');

  /** The files of a section's table, and the pieces of code beside each. */
  function places(heading: string): Map<string, string[]> {
    const section = page.split(`## ${heading}\n`)[1].split('\n## ')[0];
    const code = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text);
    const rows = section.split('\n').filter((line) => /^\| `(lib|native)\//.test(line));
    return new Map(
      rows.flatMap((row) => {
        const [, names, where] = row.split(' | ').length === 2 ? ['', ...row.split(' | ')] : ['', '', ''];
        return code(names).map((file) => [file, code(where)] as [string, string[]]);
      }),
    );
  }

  // The metric and the sum of that name, and what messages suggest for other names.
  const ofMetrics = /[sS]ums\b|total\.|numerator|metrics|MetricName|zLoss: number;/;

  it.each([
    ['Adding an option', /\b(k?zLoss|kZLoss)\b/, ['lib/arguments/hints.ts', 'lib/types/results.ts'], 7, 12],
    // The rest is its own two files, those that it consists of, and words of messages.
    ['Adding a loss', /\b(cross_entropy-inl|crossEntropy|CrossEntropy(Options|PerRow)?)\b/, [], 8, 16],
  ] as const)('%s: the list is whole, and its code is there', (heading, name, besides, count, inAll) => {
    const listed = places(heading);
    expect([...listed.keys()]).toHaveLength(count);
    expect([...listed.values()].flat()).toHaveLength(inAll);
    for (const [file, pieces] of listed) {
      expect(pieces.length, file).toBeGreaterThan(0);
      for (const piece of pieces) expect(read(file), file).toContain(piece);
    }
    const own = /cross[_-]entropy|packed_|row-losses|hints|types\/options/;
    const mentioning = ofCode.filter((file) =>
      codeOf(file)
        .split('\n')
        .some((line) => name.test(line) && !ofMetrics.test(line)),
    );
    const others = mentioning.filter(
      (file) =>
        !listed.has(file) &&
        !besides.some((one) => one === file) &&
        !(heading.endsWith('loss') && own.test(file)),
    );
    expect(others).toEqual([]);
  });

  it('links to an API that lists every option', () => {
    const table = read('docs/api.md').split('## Options\n')[1].split('\n## ')[0];
    const [, literal] =
      /function noOptions[^{]*\{\s*return \{([^}]*)\}/.exec(read('lib/arguments/functions.ts')) ?? [];
    const options = [...literal.matchAll(/^ +(\w+): undefined/gm)].map(([, name]) => name);
    expect(options.length).toBeGreaterThan(20);
    for (const name of options) expect(table, name).toMatch(new RegExp(`^\\|[^|]*\`${name}\``, 'm'));
  });
});
