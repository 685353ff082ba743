/**
 * Places of the `count` largest values, the largest first; of equal values the lower place comes first. NaN is never among them.
 * A heap of `count` places, so that it costs little more than one pass where `count` is small beside the number of values.
 */
export function largestPlaces(values: ArrayLike<number>, count: number): number[] {
  const heap: number[] = []; // the worst of those kept is at the root
  const worse = (left: number, right: number): boolean => {
    const [one = 0, other = 0] = [values[left], values[right]];
    return one < other || (one === other && left > right);
  };
  const sinkRoot = (): void => {
    let place = 0;
    for (;;) {
      const first = 2 * place + 1;
      const second = first + 1;
      if (first >= heap.length) return;
      const child = second < heap.length && worse(heap[second] ?? 0, heap[first] ?? 0) ? second : first;
      if (!worse(heap[child] ?? 0, heap[place] ?? 0)) return;
      swap(heap, child, place);
      place = child;
    }
  };
  const raiseLast = (): void => {
    let place = heap.length - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!worse(heap[place] ?? 0, heap[parent] ?? 0)) return;
      swap(heap, place, parent);
      place = parent;
    }
  };
  let threshold = Number.NaN; // the value at the root, once the heap is full
  for (let place = 0; place < values.length; place++) {
    if (values instanceof Float32Array && heap.length === count) place = placeAbove(values, place, threshold);
    const value = values[place] ?? Number.NaN;
    if (value <= threshold || Number.isNaN(value)) continue; // an equal value comes later, so it loses
    if (heap.length < count) {
      heap.push(place);
      raiseLast();
    } else if (count > 0) {
      heap[0] = place;
      sinkRoot();
    }
    if (heap.length === count) threshold = values[heap[0] ?? 0] ?? Number.NaN;
  }
  return heap.sort((left, right) => (worse(left, right) ? 1 : -1));
}

/** The first place from `place` on with a value above the threshold; a loop over one kind of array is several times as fast as over any. */
function placeAbove(values: Float32Array, place: number, threshold: number): number {
  let next = place;
  while (next < values.length && !((values[next] ?? 0) > threshold)) next++;
  return next;
}

function swap(list: number[], left: number, right: number): void {
  const value = list[left] ?? 0;
  list[left] = list[right] ?? 0;
  list[right] = value;
}

/** The k-th largest value (the smallest, if there are fewer). */
export function kthLargest(values: ArrayLike<number>, k: number): number {
  const last = largestPlaces(values, Math.min(k, values.length)).at(-1);
  return last === undefined ? Number.NEGATIVE_INFINITY : (values[last] ?? Number.NEGATIVE_INFINITY);
}
