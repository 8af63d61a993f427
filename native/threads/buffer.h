// Memory of calls, kept from one to the next.

#ifndef SMOOTHLOSS_THREADS_BUFFER_H_
#define SMOOTHLOSS_THREADS_BUFFER_H_

#include <cstddef>
#include <memory>
#include <new>

namespace smoothloss {

// Memory that only grows.
class Buffer {
 public:
  // Returns at least so many bytes, aligned for any type; null if there is no memory.
  unsigned char* reserve(size_t bytes) {
    if (bytes > bytes_ || data_ == nullptr) {
      data_.reset();
      data_.reset(new (std::nothrow) unsigned char[bytes]);
      bytes_ = data_ ? bytes : 0;
    }
    return data_.get();
  }

 private:
  std::unique_ptr<unsigned char[]> data_;
  size_t bytes_ = 0;
};

}  // namespace smoothloss

#endif  // SMOOTHLOSS_THREADS_BUFFER_H_
