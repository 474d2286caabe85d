/** Moves the axes of a tensor, as Transpose does. */

/** @param order axis of the source that each axis of the result is */
export function permute(
  values: Uint16Array,
  dims: readonly number[],
  order: readonly number[],
): { readonly dims: readonly number[]; readonly values: Uint16Array } {
  const strides = dims.map((_size, axis) => dims.slice(axis + 1).reduce((product, size) => product * size, 1));
  const resultDims = order.map((axis) => dims[axis] ?? 1);
  const resultStrides = order.map((axis) => strides[axis] ?? 1);
  const result = new Uint16Array(values.length);
  const index = resultDims.map(() => 0);
  let from = 0;
  for (let to = 0; to < result.length; to += 1) {
    result[to] = values[from] ?? 0;
    for (let axis = resultDims.length - 1; axis >= 0; axis -= 1) {
      const next = (index[axis] ?? 0) + 1;
      const step = resultStrides[axis] ?? 0;
      if (next < (resultDims[axis] ?? 0)) {
        index[axis] = next;
        from += step;
        break;
      }
      index[axis] = 0;
      from -= step * (next - 1);
    }
  }
  return { dims: resultDims, values: result };
}

/** What two transpositions, one after the other, do together. */
export const composeOrders = (first: readonly number[], second: readonly number[]): readonly number[] =>
  second.map((axis) => first[axis] ?? 0);

export const isIdentity = (order: readonly number[]): boolean => order.every((axis, index) => axis === index);
