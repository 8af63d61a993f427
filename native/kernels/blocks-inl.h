// How the rows of a batch lie in memory, and how a kernel reads and writes them block by block. Include after
// targets-inl.h, in a backend's unnamed namespace. lib/js/blocks.ts mirrors this file, row by row.

// The index of a row's first element in an array with that stride.
SMOOTHLOSS_INLINE size_t offsetOf(const Batch& batch, size_t row, size_t stride) {
  if (batch.inner == 1) return row * stride;
  return row / batch.inner * batch.classes * batch.inner + row % batch.inner;
}

// How many of the rows [row, end) are in one image.
SMOOTHLOSS_INLINE size_t inImage(const Batch& batch, size_t row, size_t end) {
  const size_t rows = batch.inner - row % batch.inner;
  return end - row < rows ? end - row : rows;
}

// How many of the rows [row, end) make one strip: rows that go through each step of a kernel together.
template <typename V>
SMOOTHLOSS_INLINE size_t stripOf(As<Along<V>>, const Batch&, size_t, size_t) {
  return 1;
}
template <typename V>
SMOOTHLOSS_INLINE size_t stripOf(As<Across<V>>, const Batch& batch, size_t row, size_t end) {
  const size_t left = inImage(batch, row, end);
  return left < V::kWidth ? left : V::kWidth;
}

// The layout of `count` rows in the caller's arrays.
template <typename V>
SMOOTHLOSS_INLINE Along<V> userLayout(As<Along<V>>, const Batch&, size_t) {
  return {};
}
template <typename V>
SMOOTHLOSS_INLINE Across<V> userLayout(As<Across<V>>, const Batch& batch, size_t count) {
  return {batch.inner, count};
}
// The layout of scratch memory, which holds whole vectors.
template <typename V>
SMOOTHLOSS_INLINE Along<V> scratchLayout(As<Along<V>>) {
  return {};
}
template <typename V>
SMOOTHLOSS_INLINE Across<V> scratchLayout(As<Across<V>>) {
  return {V::kWidth, V::kWidth};
}

// The blocks of scratch memory.
enum ScratchBlock : size_t { kLogitBlock, kDenseBlock, kShareBlock, kTargetBlock, kExpBlock, kGradientBlock };

template <typename Real>
SMOOTHLOSS_INLINE Real* blockOf(Scratch& scratch, ScratchBlock block) {
  return reinterpret_cast<Real*>(scratch.blocks[block]);
}

// One block of numbers of the arithmetic's type, and how they lie.
template <typename Layout>
struct Numbers {
  Layout at;
  const typename Layout::Real* p;
};

// Copies numbers to another type or layout.
template <typename Layout, typename T, typename U>
struct CopyVisitor {
  using V = typename Layout::V;
  Layout from;
  const T* x;
  Layout to;
  U* out;

  template <typename Loads, size_t N>
  SMOOTHLOSS_INLINE void visit(const Loads& loads, size_t c, V (&terms)[N]) {
    for (size_t i = 0; i < N; ++i) {
      terms[i] = loads.elements(from, x, c + i * Layout::kColumns);
      loads.put(to, out, c + i * Layout::kColumns, terms[i]);
    }
  }
};

// n columns of a caller's array: in place if they have the arithmetic's type, else converted into a scratch block.
template <typename Layout, typename T>
SMOOTHLOSS_INLINE Numbers<Layout> realBlock(const Layout& user, const T* p, size_t n, Scratch& scratch,
                                            ScratchBlock block) {
  using Real = typename Layout::Real;
  if constexpr (std::is_same<T, Real>::value) {
    return {user, p};
  } else {
    const Layout at = scratchLayout(As<Layout>());
    Real* out = blockOf<Real>(scratch, block);
    user.forEach(n, CopyVisitor<Layout, T, Real>{user, p, at, out});
    return {at, out};
  }
}

// The caller's logits and gradient have the arithmetic's type or, in float, a half type. Kernels are instantiated for
// the arithmetic's type alone, and blocks of half types go through scratch memory: instances for the half types made
// the code half as large again. (Plain cross entropy has them all the same, for speed.)

// Calls action with the elements at p as a pointer of their type.
template <typename Real, typename P, typename Action>
SMOOTHLOSS_INLINE auto withElements(Type type, P* p, const Action& action) {
  using std::conditional_t;
  constexpr bool kConst = std::is_const<P>::value;
  if constexpr (std::is_same<Real, float>::value) {
    if (type == Type::kFloat16) return action(static_cast<conditional_t<kConst, const Half, Half>*>(p));
    if (type == Type::kBfloat16) return action(static_cast<conditional_t<kConst, const Bfloat16, Bfloat16>*>(p));
  }
  return action(static_cast<conditional_t<kConst, const Real, Real>*>(p));
}
SMOOTHLOSS_INLINE bool isHalf(Type type) { return type == Type::kFloat16 || type == Type::kBfloat16; }
// The address of the element at an offset; null for null.
template <typename P>
SMOOTHLOSS_INLINE P* elementsAt(Type type, P* p, size_t offset) {
  const size_t bytes = type == Type::kFloat64 ? sizeof(double) : type == Type::kFloat32 ? sizeof(float) : sizeof(Half);
  using Bytes = std::conditional_t<std::is_const<P>::value, const unsigned char, unsigned char>;
  return p == nullptr ? nullptr : static_cast<Bytes*>(p) + offset * bytes;
}

// The columns [first, first + n) of a strip's logits.
template <typename Layout>
SMOOTHLOSS_INLINE Numbers<Layout> logitBlock(const Batch& batch, const Layout& user, const void* rows, size_t first,
                                             size_t n, Scratch& scratch) {
  return withElements<typename Layout::Real>(
      batch.type, rows, [&](auto* x) { return realBlock(user, x + user.offset(first), n, scratch, kLogitBlock); });
}

// The columns [first, first + n) of the dense targets of the strip at `row`.
template <typename Layout>
SMOOTHLOSS_INLINE Numbers<Layout> denseBlock(const Batch& batch, size_t row, const Layout& user, size_t first, size_t n,
                                             Scratch& scratch) {
  const size_t offset = offsetOf(batch, row, batch.denseStride) + user.offset(first);
  switch (batch.denseType) {
    case Dense::kFloat64:
      return realBlock(user, static_cast<const double*>(batch.dense) + offset, n, scratch, kDenseBlock);
    case Dense::kUint8:
      return realBlock(user, static_cast<const uint8_t*>(batch.dense) + offset, n, scratch, kDenseBlock);
    case Dense::kFloat32:
      break;
  }
  return realBlock(user, static_cast<const float*>(batch.dense) + offset, n, scratch, kDenseBlock);
}

// Prefetches the same columns of the next row.
template <typename Layout>
SMOOTHLOSS_INLINE void denseAhead(const Batch& batch, size_t row, const Layout& user, size_t first, size_t n) {
  const size_t size = batch.denseType == Dense::kFloat64 ? sizeof(double) : sizeof(float);
  const size_t offset = offsetOf(batch, row, batch.denseStride) + user.offset(first);
  const auto* const bytes = static_cast<const unsigned char*>(batch.dense) + offset * size;
  for (size_t i = 0; i < n * size; i += kLineBytes) user.ahead(bytes, i, batch.denseStride * size);
}

// The memory where the gradient of a block, from column `first` on, is computed: the caller's array, or for half types
// a scratch block, from which `deliver` converts it.
template <typename Layout>
struct GradientBlock {
  using Real = typename Layout::Real;
  Layout at;
  Real* p;

  // p is null without a gradient.
  SMOOTHLOSS_INLINE GradientBlock(const Batch& batch, const Layout& user, void* rows, size_t first, Scratch& scratch)
      : at(user), p(nullptr) {
    if (rows == nullptr) return;
    if (isHalf(batch.type)) {
      at = scratchLayout(As<Layout>());
      p = blockOf<Real>(scratch, kGradientBlock);
    } else {
      p = static_cast<Real*>(rows) + user.offset(first);
    }
  }

  SMOOTHLOSS_INLINE void deliver(const Batch& batch, const Layout& user, void* rows, size_t first, size_t n) const {
    if (!isHalf(batch.type)) return;
    withElements<Real>(batch.type, rows, [&](auto* gradient) {
      using T = std::remove_pointer_t<decltype(gradient)>;
      if constexpr (!std::is_same<T, Real>::value) {
        user.forEach(n, CopyVisitor<Layout, Real, T>{at, p, user, gradient + user.offset(first)});
      }
    });
  }
};

// gradient ← gradient · factor in n columns of the rows whose factor is deferred; of others it is 0.
template <typename Layout>
SMOOTHLOSS_COLD void multiplyDeferred(const GradientBlock<Layout>& gradient, size_t n, const double* factors) {
  for (size_t r = 0; r < Layout::kRows; ++r) {
    for (size_t c = 0; factors[r] != 0.0 && c < n; ++c) {
      auto* const element = gradient.at.element(gradient.p, c, r);
      put(element, toDouble(*element) * factors[r] + 0.0);
    }
  }
}

// Sets all elements of a strip's row to one number.
template <typename Layout, typename T>
SMOOTHLOSS_INLINE void fillRow(const Layout& at, T* p, size_t classes, size_t row, double value) {
  T element;
  put(&element, value);
  for (size_t c = 0; c < classes; ++c) *at.element(p, c, row) = element;
}
