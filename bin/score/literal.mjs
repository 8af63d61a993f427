// @ts-check
import { UserError } from './user-error.mjs';

const DEEPEST = 16;
const WORDS = new Map([
  ['True', true],
  ['False', false],
  ['None', null],
]);

/**
 * What a Python literal means, of strings, integers, True, False, None, tuples, lists and dictionaries.
 * @param {string} text
 * @returns {unknown}
 */
export function parseLiteral(text) {
  let at = 0;

  /**
   * The text that a pattern matches here, after white space.
   * @param {RegExp} pattern sticky
   */
  const take = (pattern) => {
    while (/\s/.test(text.charAt(at))) at++;
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match;
  };
  const fail = () =>
    new UserError(`has a header that cannot be understood at ${JSON.stringify(text.slice(at, at + 20))}`);

  /**
   * Items up to the closing bracket, and whether a comma stood among them.
   * @param {RegExp} close
   * @param {() => void} item
   */
  const items = (close, item) => {
    let comma = false;
    while (!take(close)) {
      item();
      if (take(/,/y)) comma = true;
      else if (take(close)) break;
      else throw fail();
    }
    return comma;
  };

  /** @type {(depth: number) => unknown} */
  const value = (depth) => {
    if (depth > DEEPEST) throw fail();
    const string = take(/[ub]?(['"])((?:\\.|(?!\1)[^\\])*)\1/y);
    if (string) return string[2].replace(/\\(.)/g, '$1');
    const integer = take(/([-+]?\d+)L?\b/y); // Python 2 marks long integers with an L
    if (integer) return Number(integer[1]);
    const word = take(/[A-Za-z]+/y);
    if (word && WORDS.has(word[0])) return WORDS.get(word[0]);
    if (take(/\{/y)) {
      const map = new Map();
      items(/\}/y, () => {
        const key = value(depth + 1);
        if (!take(/:/y)) throw fail();
        map.set(key, value(depth + 1));
      });
      return map;
    }
    /** @type {unknown[]} */
    const list = [];
    const push = () => {
      list.push(value(depth + 1));
    };
    if (take(/\[/y)) {
      items(/\]/y, push);
      return list;
    }
    if (take(/\(/y)) {
      const comma = items(/\)/y, push);
      return list.length === 1 && !comma ? list[0] : list; // (3) is a number, (3,) a tuple
    }
    throw fail();
  };

  const whole = value(0);
  if (!take(/$/y)) throw fail();
  return whole;
}
