// How a strip goes through a stage segment by segment: all of them on this thread, or each on any thread. Include after
// blocks-inl.h, in a backend's unnamed namespace.
//
// A kernel has a Strip, the number of its stages, kStages, and, for the columns of a segment from `first` to `end`:
//
//     open(strip, row, rows)                  turns to these rows
//     needs(strip, stage)                     whether the stage needs its segments
//     compute(copy, stage, first, end)        computes a segment in a copy of the strip
//     merge(strip, stage, copy, first, end)   takes over what the segment sums
//     close(strip, stage, sums)               completes the stage

// Runs a stage of a strip on this thread. The kernel computes each segment in a copy of the strip and merges the copies
// in order; the only segment of all but the longest rows is computed in the strip itself.
template <typename Kernel, typename Strip>
SMOOTHLOSS_INLINE void runStage(Kernel& kernel, Strip& strip, size_t stage, size_t classes) {
  if (classes <= kSegment) return kernel.compute(strip, stage, 0, classes);
  const Strip before = strip;
  for (size_t first = 0; first < classes; first += kSegment) {
    const size_t end = classes - first < kSegment ? classes : first + kSegment;
    Strip copy = before;
    kernel.compute(copy, stage, first, end);
    kernel.merge(strip, stage, copy, first, end);
  }
}

// Takes one step of Split. Its memory holds a Strip, and a copy of it for each segment.
template <typename Kernel>
void splitStrip(As<Kernel>, const Batch& batch, Split& split, Scratch& scratch, Sums& sums) {
  using Strip = typename Kernel::Strip;
  static_assert(std::is_trivially_copyable<Strip>::value && alignof(Strip) <= alignof(double), "strips are raw memory");
  Kernel kernel(batch, scratch, true);
  Strip* const strip = reinterpret_cast<Strip*>(split.memory);
  Strip* const copies = strip + 1;
  const auto firstOf = [](size_t segment) { return segment * kSegment; };
  const auto endOf = [&](size_t segment) {
    return segment + 1 < segmentsOf(batch) ? (segment + 1) * kSegment : batch.classes;
  };
  switch (split.step) {
    case Split::kMeasure:
      split.bytes = (1 + segmentsOf(batch)) * sizeof(Strip);
      split.stages = Kernel::kStages;
      break;
    case Split::kOpen:
      split.rows = stripOf(As<decltype(strip->user)>(), batch, split.row, split.end);
      kernel.open(*strip, split.row, split.rows);
      break;
    case Split::kNeeds:
      split.needs = kernel.needs(*strip, split.stage);
      break;
    case Split::kSegment: {
      Strip& copy = copies[split.segment];
      copy = *strip;
      kernel.compute(copy, split.stage, firstOf(split.segment), endOf(split.segment));
      break;
    }
    case Split::kClose:
      for (size_t i = 0; split.needs && i < segmentsOf(batch); ++i) {
        kernel.merge(*strip, split.stage, copies[i], firstOf(i), endOf(i));
      }
      kernel.close(*strip, split.stage, sums);
      break;
  }
}
