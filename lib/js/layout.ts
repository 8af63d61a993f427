// How a row lies in the caller's arrays, of whatever type and layout. The loops of lib/js/float32.ts and
// lib/js/float64.ts take contiguous rows of one type: a row is read into scratch memory and written from there, but for
// logits and gradients that are such rows already.

import { type Batch, FLOAT32, FLOAT64, type Floats, type Sums } from '../batch.js';
import { type Arithmetic, ScratchBlock, scratchRow } from './arithmetic.js';
import { copy, fillRow, load, put, store } from './elements.js';

/** A loss over one row after the other. */
export abstract class Rows<A extends Floats> {
  /** The row's logits after their terms, from `at` on. */
  protected z: A;
  protected at = 0;
  /** Where the gradient goes, from `outAt` on. */
  protected out: A;
  protected outAt = 0;

  protected readonly classes: number;
  /** z is not the logits themselves. */
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

  /** Adds a row to the sums, and writes what is asked of it. */
  abstract add(row: number, sums: Sums): void;

  protected scratch(block: ScratchBlock): A {
    return scratchRow(this.arithmetic, block, this.classes);
  }

  /** Where the row begins in an array with that stride. */
  private offsetOf(stride: number): number {
    const { inner } = this.batch;
    if (inner === 1) return this.row * stride;
    const image = Math.floor(this.row / inner);
    return image * this.classes * inner + (this.row - image * inner);
  }

  /** Turns to a row. */
  protected begin(row: number): void {
    this.row = row;
    this.start = this.offsetOf(this.batch.rowStride);
    if (this.direct) this.outAt = this.start;
  }

  /** Sets `z`; if `writable`, it is not the caller's. */
  protected loadLogits(writable: boolean): void {
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

  /** A row of a dense array. */
  protected loadDense<T extends Floats | Uint8Array>(dense: Floats | Uint8Array, stride: number, to: T): T {
    copy(dense, this.offsetOf(stride), this.batch.inner, this.classes, to);
    return to;
  }

  /** Writes `out` where it is not the gradient itself. */
  protected storeGradient(): void {
    const { type, gradient, inner } = this.batch;
    if (!this.direct && gradient !== null) store(this.out, type, gradient, this.start, inner, this.classes);
  }

  /** `out` ← `out` · a factor that waits: see targets.ts. */
  protected multiplyOut(factor: number): void {
    const { arithmetic, classes, out, outAt } = this;
    for (let c = outAt; c < outAt + classes; c++) out[c] = arithmetic.toReal(out[c] * factor + 0);
  }

  protected fillGradient(x: number): void {
    const { type, gradient, inner } = this.batch;
    if (gradient !== null) fillRow(type, gradient, this.start, inner, this.classes, x);
  }

  /** One element of the gradient; too large numbers become the largest there is. */
  protected putGradient(c: number, x: number): void {
    const { type, gradient, inner } = this.batch;
    if (gradient !== null) put(type, gradient, this.start + c * inner, this.arithmetic.toReal(x));
  }

  /** Losses of elements, which lie as the logits. */
  protected storeLosses(losses: A, weight: number): void {
    const { batch, classes, arithmetic } = this;
    if (batch.losses === null) return;
    const weighed = this.scratch(ScratchBlock.Losses);
    arithmetic.weighed(losses, classes, weight, weighed);
    store(weighed, FLOAT32, batch.losses, this.start, batch.inner, classes);
  }
}
