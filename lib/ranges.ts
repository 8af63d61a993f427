// Which bytes of a buffer are in use.

interface Range {
  readonly start: number;
  readonly end: number;
  /** How often it was added. */
  count: number;
}
type Cell = Map<string, Range>;

/** Ranges beyond so many are found by cells. Most buffers have one, for which cells took six times as much memory. */
const FEW = 4;

/**
 * Ranges [start, end) of numbers, any of which may be there many times. A few are in a list. Of the others, a range of up
 * to 2^n numbers is in the one or two cells of 2^n numbers that it touches, so that each step takes a time that hardly
 * depends on how many ranges there are, if few of different length or place overlap each other. A list took 0.06 ms a
 * step with 30,000 of them.
 */
export class Ranges {
  private few: Range[] = [];
  /** By n, then by the index of the cell. */
  private levels: Map<number, Map<number, Cell>> | undefined;

  get isEmpty(): boolean {
    return this.few.length === 0 && !this.levels?.size;
  }

  add(start: number, end: number): void {
    if (start === end) return;
    const known = this.find(start, end);
    if (known !== undefined) {
      known.count++;
      return;
    }
    const range = { start, end, count: 1 };
    if (this.few.length === 0) this.few = [range];
    else if (this.few.length < FEW) this.few.push(range);
    else this.addToCells(range);
  }

  /** Takes away a range that was added. */
  remove(start: number, end: number): void {
    if (start === end) return;
    const range = this.find(start, end) as Range;
    range.count--;
    if (range.count > 0) return;
    if (this.few.includes(range)) this.few = this.few.filter((other) => other !== range);
    else this.removeFromCells(range);
  }

  /** Whether a range has a number in [start, end). */
  overlap(start: number, end: number): boolean {
    if (start === end) return false;
    const overlaps = (range: Range) => range.start < end && start < range.end;
    if (this.few.some(overlaps)) return true;
    let found = false;
    const look = (cell: Cell | undefined) => {
      cell?.forEach((range) => {
        found ||= overlaps(range);
      });
    };
    this.levels?.forEach((cells, level) => {
      const first = cellOf(start, level);
      const last = cellOf(end - 1, level);
      if (last - first >= cells.size) cells.forEach(look);
      else for (let i = first; i <= last && !found; i++) look(cells.get(i));
    });
    return found;
  }

  private find(start: number, end: number): Range | undefined {
    const inList = this.few.find((range) => range.start === start && range.end === end);
    if (inList !== undefined || this.levels === undefined) return inList;
    const level = levelOf(start, end);
    return this.levels.get(level)?.get(cellOf(start, level))?.get(keyOf(start, end));
  }

  private addToCells(range: Range): void {
    const { start, end } = range;
    const level = levelOf(start, end);
    this.levels ??= new Map();
    const cells = this.levels.get(level) ?? new Map<number, Cell>();
    this.levels.set(level, cells);
    for (let i = cellOf(start, level); i <= cellOf(end - 1, level); i++) {
      const cell = cells.get(i) ?? new Map<string, Range>();
      cells.set(i, cell.set(keyOf(start, end), range));
    }
  }

  private removeFromCells({ start, end }: Range): void {
    const level = levelOf(start, end);
    const levels = this.levels as Map<number, Map<number, Cell>>;
    const cells = levels.get(level) as Map<number, Cell>;
    for (let i = cellOf(start, level); i <= cellOf(end - 1, level); i++) {
      const cell = cells.get(i) as Cell;
      cell.delete(keyOf(start, end));
      if (cell.size === 0) cells.delete(i);
    }
    if (cells.size === 0) levels.delete(level);
  }
}

function keyOf(start: number, end: number): string {
  return `${start}-${end}`;
}

/** The least n with 2^n numbers or more in the range. */
function levelOf(start: number, end: number): number {
  return Math.ceil(Math.log2(end - start));
}

function cellOf(number: number, level: number): number {
  return Math.floor(number / 2 ** level);
}
