// What a drawn chart holds: its texts, marks and panels, each with its box on the picture.
export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}
export interface Text extends Box {
  text: string;
  fontSize: number;
  color: string;
  /** What it belongs to: an axis, a title, a legend, or the data. */
  role: string;
}
export interface Mark extends Box {
  type: string;
  /** Of the layer that drew it. */
  name: string;
  /** The panel that it is drawn in. */
  panel: number;
  /** Of a line, in order; of others nothing. */
  path: { x: number; y: number }[];
  size: number;
}
export interface Chart {
  frame: Box;
  panels: Box[];
  /** What can be seen. */
  texts: Text[];
  marks: Mark[];
  axes: { ticks: number; labels: string[] }[];
}

// biome-ignore lint/suspicious/noExplicitAny: Vega has no types for its scenegraph, and its others want a browser's
export type Scene = any;

/** @param scene a vega.View */
export function read(scene: Scene): Chart {
  const [x, y] = scene.origin();
  const [left, top] = [-x - scene.padding().left, -y - scene.padding().top];
  const frame = {
    left,
    top,
    right: left + scene._viewWidth + scene.padding().left + scene.padding().right,
    bottom: top + scene._viewHeight + scene.padding().top + scene.padding().bottom,
  };
  const chart: Chart = { frame, panels: [], texts: [], marks: [], axes: [] };
  walk(scene.scenegraph().root, 0, 0, '', chart);
  return chart;
}

function walk(mark: Scene, dx: number, dy: number, within: string, chart: Chart): void {
  const role: string = /^(axis|title|legend)/.exec(mark.role ?? '')?.[1] ?? within;
  const boxOf = ({ x1, x2, y1, y2 }: Scene): Box => ({
    left: x1 + dx,
    right: x2 + dx,
    top: y1 + dy,
    bottom: y2 + dy,
  });
  if (mark.marktype === 'group') {
    for (const item of mark.items) {
      const [x, y] = [dx + (item.x ?? 0), dy + (item.y ?? 0)];
      const isPanel = mark.name === 'cell' || /_group$|^root$/.test(mark.name ?? '');
      if (isPanel && holdsMarks(item)) {
        const { width, height } = item;
        chart.panels.push({ left: x, right: x + width, top: y, bottom: y + height });
      }
      if (mark.role === 'axis') chart.axes.push({ ticks: 0, labels: [] });
      for (const part of item.items) walk(part, x, y, role, chart);
    }
    return;
  }
  const visible = mark.items.filter(({ opacity = 1 }: Scene) => opacity > 0);
  if (mark.role === 'axis-tick') last(chart.axes).ticks += visible.length;
  if (mark.marktype === 'text') {
    const texts: Text[] = visible
      .filter(({ text }: Scene) => String(text ?? '') !== '')
      .map((item: Scene) => ({
        ...boxOf(item.bounds),
        text: [item.text].flat().join('\n'),
        fontSize: item.fontSize,
        color: item.fill,
        role: role || 'data',
      }));
    if (mark.role === 'axis-label') last(chart.axes).labels.push(...texts.map(({ text }) => text));
    chart.texts.push(...texts);
  } else if (role === '') {
    const panel = chart.panels.length - 1;
    const shared = { type: mark.marktype, name: mark.name ?? '', panel };
    if (mark.marktype === 'line' && mark.items.length > 0) {
      const path = mark.items.map(({ x, y }: Scene) => ({ x: x + dx, y: y + dy }));
      chart.marks.push({ ...shared, ...boxOf(mark.bounds), path, size: 0 });
    } else {
      for (const item of visible) {
        chart.marks.push({ ...shared, ...boxOf(item.bounds), path: [], size: item.size ?? 0 });
      }
    }
  }
}

const last = <T>(list: T[]): T => list[list.length - 1];
const holdsMarks = (group: Scene): boolean =>
  group.items.some(({ role, marktype }: Scene) => role === 'mark' && marktype !== 'group');

export const overlap = (a: Box, b: Box, room = 0) =>
  a.left < b.right + room && b.left < a.right + room && a.top < b.bottom + room && b.top < a.bottom + room;
export const inside = (a: Box, b: Box, room = 0) =>
  a.left >= b.left + room &&
  a.right <= b.right - room &&
  a.top >= b.top + room &&
  a.bottom <= b.bottom - room;

/** Whether a line runs through a box. */
export const runsThrough = (path: Mark['path'], box: Box) =>
  path.some(({ x, y }, i) => {
    if (i === 0) return false;
    const { x: x0, y: y0 } = path[i - 1];
    return Array.from({ length: 65 }, (_, k) => k / 64).some((t) => {
      const [px, py] = [x0 + t * (x - x0), y0 + t * (y - y0)];
      return px > box.left && px < box.right && py > box.top && py < box.bottom;
    });
  });

/** Whether two paths cross, or touch. */
export function cross(a: Mark['path'], b: Mark['path']): boolean {
  const side = (p: Mark['path'][0], q: Mark['path'][0], r: Mark['path'][0]) =>
    Math.sign((q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x));
  return a.slice(1).some((a1, i) =>
    b.slice(1).some((b1, j) => {
      const [a0, b0] = [a[i], b[j]];
      return side(a0, a1, b0) !== side(a0, a1, b1) && side(b0, b1, a0) !== side(b0, b1, a1);
    }),
  );
}
