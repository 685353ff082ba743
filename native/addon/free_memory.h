// What loading leaves behind.
#pragma once

namespace octoformer {

/// Has the C library return pages to the operating system that hold nothing but freed memory: glibc keeps those of each
/// thread's part of the heap until that thread needs them again, and reading a checkpoint frees megabytes on threads
/// that never do. One to two milliseconds where little else lies in the heap. Other libraries return theirs themselves.
void return_free_memory();

}  // namespace octoformer
