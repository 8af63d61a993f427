// How a row lies in the caller's arrays, and how a loss reads and writes it. Mirrors native/kernels/blocks-inl.h and
// native/kernels/row_strip-inl.h, for one row at a time.
//
// The loops of lib/js/float32.ts and lib/js/float64.ts take contiguous rows of one type. Logits and gradients that are such
// rows are used in place; other rows are read into scratch memory and written from there.

import { type Batch, FLOAT32, FLOAT64, type Floats, type Sums } from '../batch.js';
import { type Arithmetic, ScratchBlock, scratchRow } from './arithmetic.js';
import { copy, fillRow, load, put, store } from './elements.js';

/** A loss, over one row after the other. */
export abstract class Rows<A extends Floats> {
  /** The row's logits after logitScale and softcap, from `at` on. */
  protected z: A;
  protected at = 0;
  /** The row's gradient, from `outAt` on. */
  protected out: A;
  protected outAt = 0;

  protected readonly classes: number;
  /** z differs from the logits. */
  protected readonly transforms: boolean;

  private row = 0;
  private start = 0;
  private readonly direct: boolean;

  constructor(
    protected readonly batch: Batch,
    protected readonly arithmetic: Arithmetic<A>,
  ) {
    const { classes, type, inner, gradient } = batch;
    this.classes = classes;
    this.transforms = batch.logitScale !== 1 || batch.softcap !== 0;
    this.direct = (type === FLOAT32 || type === FLOAT64) && inner === 1;
    this.z = this.scratch(ScratchBlock.Logits);
    this.out = this.direct && gradient !== null ? (gradient as A) : this.scratch(ScratchBlock.Gradient);
  }

  /** Adds a row to the sums, and writes its gradient and results where asked for. */
  abstract add(row: number, sums: Sums): void;

  protected scratch(block: ScratchBlock): A {
    return scratchRow(this.arithmetic, block, this.classes);
  }

  /** The index of a row's first element in an array with that stride. */
  private offsetOf(row: number, stride: number): number {
    const { inner } = this.batch;
    if (inner === 1) return row * stride;
    const image = Math.floor(row / inner);
    return image * this.classes * inner + (row - image * inner);
  }

  /** Turns to a row, whose logits and gradient are in that place among those of the batch. */
  protected open(row: number, place = row): void {
    this.row = row;
    this.start = this.offsetOf(place, this.batch.rowStride);
    if (this.direct) this.outAt = this.start;
  }

  /** Sets `z`; if `writable`, it is scratch memory. */
  protected termBlock(writable: boolean): void {
    const { batch, classes } = this;
    const logits = batch.logits as A;
    if (this.direct && !this.transforms && !writable) {
      this.z = logits;
      this.at = this.start;
      return;
    }
    this.z = this.scratch(ScratchBlock.Logits);
    this.at = 0;
    load(batch.type, logits, this.start, batch.inner, classes, this.z);
    if (this.transforms) this.arithmetic.terms(this.z, classes, batch.logitScale, batch.softcap);
  }

  /** Reads the row of a dense array. */
  protected denseBlock<T extends Floats | Uint8Array>(dense: Floats | Uint8Array, stride: number, to: T): T {
    copy(dense, this.offsetOf(this.row, stride), this.batch.inner, this.classes, to);
    return to;
  }

  /** Writes `out` to the caller's gradient, if it is not in place. */
  protected deliver(): void {
    const { type, gradient, inner } = this.batch;
    if (!this.direct && gradient !== null) store(this.out, type, gradient, this.start, inner, this.classes);
  }

  /** `out` ← `out` · a factor that is deferred: see isDeferred. */
  protected multiplyDeferred(factor: number): void {
    const { arithmetic, classes, out, outAt } = this;
    for (let c = outAt; c < outAt + classes; c++) out[c] = arithmetic.toReal(out[c] * factor + 0);
  }

  /** Sets all elements of the gradient. */
  protected fillRow(x: number): void {
    const { type, gradient, inner } = this.batch;
    if (gradient !== null) fillRow(type, gradient, this.start, inner, this.classes, x);
  }

  /** Writes an element of the gradient; beyond its range, the largest number. */
  protected put(c: number, x: number): void {
    const { type, gradient, inner } = this.batch;
    if (gradient !== null) put(type, gradient, this.start + c * inner, this.arithmetic.toReal(x));
  }

  /** Writes the losses of elements, which are laid out as the logits, times the row's weight. */
  protected storeLosses(losses: A, weight: number): void {
    const { batch, classes, arithmetic } = this;
    if (batch.losses === null) return;
    const weighed = this.scratch(ScratchBlock.Losses);
    arithmetic.weigh(losses, classes, weight, weighed);
    store(weighed, FLOAT32, batch.losses, this.start, batch.inner, classes);
  }
}
