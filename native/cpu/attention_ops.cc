#include "cpu/attention_ops.h"

#include <algorithm>
#include <vector>

#include "cpu/attention_pattern.h"
#include "cpu/attention_tasks.h"
#include "cpu/parallel_rows.h"
#include "cpu/thread_pool.h"

namespace octoformer {
namespace {

// With fewer tiles than this for each thread, groups of keys become tasks of their own: else a long sequence would be
// attended to by few threads while others wait.
constexpr int64_t kTilesPerThread = 4;

float* floats_of(AlignedMemory& workspace, int64_t count) {
  workspace.reserve(static_cast<size_t>(count) * sizeof(float), "attention workspace");
  return reinterpret_cast<float*>(workspace.data());
}

/// A task is several tiles, but there are as many tasks for each thread, so that none waits for long in the end.
constexpr int64_t kTasksPerThread = 16;

void attend_by_tiles(const AttentionKernels& kernels, int threads, AlignedMemory& workspace,
                     const AttentionTasks& tasks) {
  const int64_t tiles = tasks.size(), tasks_wanted = threads > 1 ? kTasksPerThread * threads : 1;
  const int64_t per_task = std::clamp<int64_t>(tiles / tasks_wanted, 1, kMaximumWholeTiles);
  const int64_t worker_floats = tasks.workspace_floats();
  float* memory = floats_of(workspace, threads * worker_floats);
  ThreadPool::shared().parallel_for(threads, (tiles + per_task - 1) / per_task, [&](int64_t task, int worker) {
    AttentionTile of_task[kMaximumWholeTiles];
    const int64_t first = task * per_task, count = std::min(per_task, tiles - first);
    for (int64_t i = 0; i < count; ++i) of_task[i] = tasks.task(first + i).tile;
    kernels.attend_whole(of_task, count, memory + worker * worker_floats);
  });
}

/// Every group of every tile on its own, then merged in order: what `attend` does for a whole tile.
void attend_by_groups(const AttentionKernels& kernels, int threads, AlignedMemory& workspace,
                      const AttentionTasks& tasks) {
  struct Part {
    AttentionTile tile;
    int64_t group;
    int64_t state;  // offset of its state
  };
  struct Whole {
    size_t first_part, end_part;
  };
  std::vector<Part> parts;
  std::vector<Whole> wholes;
  int64_t floats = 0;
  for (int64_t index = 0; index < tasks.size(); ++index) {
    const AttentionTile tile = tasks.task(index).tile;
    const GroupRange groups = attended_groups(tile);
    const size_t first_part = parts.size();
    for (int64_t group = groups.first; group < groups.end; ++group) {
      if (!attends_to_group(tile, group)) continue;
      parts.push_back({tile, group, floats});
      floats += attention_state_floats(tile.rows, tile.head_dim);
    }
    wholes.push_back({first_part, parts.size()});
  }
  const int64_t worker_floats = tasks.workspace_floats();
  float* memory = floats_of(workspace, floats + threads * worker_floats);
  ThreadPool::shared().parallel_for(threads, static_cast<int64_t>(parts.size()), [&](int64_t index, int worker) {
    const Part& part = parts[static_cast<size_t>(index)];
    kernels.attend(part.tile, part.group, part.group + 1, memory + part.state,
                   memory + floats + worker * worker_floats);
  });
  for (const Whole& whole : wholes) {
    const Part& first = parts[whole.first_part];
    for (size_t index = whole.first_part + 1; index < whole.end_part; ++index) {
      kernels.merge(first.tile, parts[index].group, memory + first.state, memory + parts[index].state);
    }
    kernels.finish(first.tile, memory + first.state);
  }
}

}  // namespace

void run_attention(const AttentionKernels& kernels, int threads, AlignedMemory& workspace,
                   const AttentionArguments& arguments) {
  const AttentionTasks tasks(kernels, arguments);
  if (tasks.size() == 0) return;
  if (tasks.products() + kTileProducts * static_cast<double>(tasks.size()) < kMinimumParallelProducts) threads = 1;
  if (threads > 1 && tasks.size() < kTilesPerThread * threads) {
    attend_by_groups(kernels, threads, workspace, tasks);
  } else {
    attend_by_tiles(kernels, threads, workspace, tasks);
  }
}

}  // namespace octoformer
